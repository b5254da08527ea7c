"""Writing a clip so that a kill or a full disk loses some seconds of work at most."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from facewright.errors import OutputError, UsageError
from facewright.media.clips import encoding, joining, kinds, library, segments
from facewright.media.clips.info import ClipInfo, Pixels

_SEGMENT_SECONDS = 10
_LONGEST = 600
"""Frames of a segment at most, where the rate is high."""


class ClipWriter:
    """A clip being written beside its source's sound, subtitles, colour tags and metadata.

        with ClipReader(source) as reader, ClipWriter(target, reader.info) as writer:
            for frame in reader.frames(writer.finished):
                writer.write(restored(frame.pixels), frame.pts)

    Pictures go into segments of about ten seconds in the folder ``.NAME.facewright-part`` beside the target, each closed and playable.
    Leaving the ``with`` block without an exception joins them with the source's other tracks by copying packets, moves the clip into
    place and removes the folder; nothing appears under the target's name before. After an exception what was written so far is
    closed and stays. The next writer for the same target, source and settings goes on behind it: ``finished`` tells how many frames
    are there, ``notes`` why not, where it began anew.

    path: .mp4, .m4v, .mov, .mkv, .webm or .avi. like: the source's. size: (width, height) of the pictures, the source's by default.
    codec: libx264, libx265 or libvpx-vp9; None for libx264, in WebM libvpx-vp9. crf, preset: as ``encoding.Encoding``.
    job: what else the pictures depend on (model, strength, ...): another job begins anew. resume: False to begin anew always.
    segment_frames: length of a segment.

    What holds: every frame's pts (MP4, MOV exactly; MKV and WebM to the millisecond that they count in; AVI by number),
    packets and times of the other tracks, duration, pixel aspect, colour tags, title and the like, chapters.
    Pictures are upright, so no rotation tag is left. In another container than the source's, times are rounded to its own
    unit, and all tracks may move together by the few milliseconds by which sound begins before 0 (Matroska keeps no such times).
    Not for two threads at once.
    Raises UsageError (settings that do not fit, a source that would be overwritten), OutputError (cannot be written, the disk is full,
    sound that the container does not hold, another run at work), InputError (the source is gone).
    """

    def __init__(
        self,
        path: Path | str,
        like: ClipInfo,
        size: tuple[int, int] | None = None,
        codec: str | None = None,
        crf: int | None = 16,
        preset: str = "medium",
        *,
        job: str = "",
        resume: bool = True,
        segment_frames: int | None = None,
    ) -> None:
        self.path, self.info = Path(path), like
        self._container = kinds.container_named(self.path)
        self._place = Path(os.path.realpath(self.path))
        self._encoding = encoding.encoding_for(like, self._container, size or (like.width, like.height), codec, crf, preset)
        self.folder = segments.part_folder(self.path)
        self.notes: list[str] = []
        self._length = segment_frames or max(1, min(_LONGEST, round(_SEGMENT_SECONDS * like.rate)))
        self._encoder: encoding.Encoder | None = None
        self._file: BinaryIO | None = None
        self._check_target()
        self._release: Callable[[], None] = lambda: None
        self._segments: list[segments.Segment] = []
        try:
            self._segments = self._found(job, resume)
        except BaseException:
            self._release()
            raise
        self._note_settings()

    @property
    def finished(self) -> int:
        """Frames that are safe in closed segments, or were when this writer began: the index at which to go on."""
        return sum(len(segment.times) for segment in self._segments)

    @property
    def written(self) -> int:
        """Frames in all, those of the open segment included."""
        return self.finished + (len(self._encoder.times) if self._encoder else 0)

    def __enter__(self) -> ClipWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self.finish()
        else:
            self.stop()

    def write(self, pixels: Pixels, pts: int) -> None:
        """Add a picture. pixels: height x width x 3 uint8 RGB, upright; pts: in the source's time base, more than the one before."""
        wanted = (self._encoding.height, self._encoding.width, 3)
        if pixels.shape != wanted or pixels.dtype != "uint8":
            raise UsageError(f"cannot write a picture of shape {pixels.shape}, {pixels.dtype}", f"the clip's are {wanted}, uint8")
        last = self._last_time()
        if last is not None and pts <= last:
            raise UsageError(f"cannot write a picture for time {pts}", f"the one before is for {last}")
        with self._explaining():
            if self._encoder is None:
                self._file = segments.opened_film(self.folder, len(self._segments))
                self._encoder = encoding.Encoder(self._file, self._encoding)
            self._encoder.write(pixels, pts)
            if len(self._encoder.times) >= self._length:
                self._close_segment()

    def finish(self) -> None:
        """Close the last segment, join all, and move the clip into place."""
        try:
            self._finish()
        finally:
            self._release()

    def stop(self) -> None:
        """Close what is written so far, as far as that is possible, for another run to go on with. Raises nothing."""
        with contextlib.suppress(Exception):
            self._close_segment()
        self._abandon()
        self._release()

    # --- what it is made of ---

    def _check_target(self) -> None:
        what = f"cannot write {self.path}"
        if self._place == Path(os.path.realpath(self.info.path)):
            raise UsageError(what, "it is the clip that is read", "give another name")
        if self._place.is_dir():
            raise OutputError(what, "there is a folder of that name", "choose another name with -o")
        if not self._place.parent.is_dir():
            raise OutputError(what, f"there is no folder {self._place.parent}", "make it first, or choose another with -o")
        if codec := joining.sound_fits(self.info, self._container):
            raise OutputError(what, f"{self._container.upper()} does not hold its sound ({codec})", "write .mkv, which holds nearly all")

    def _found(self, job: str, resume: bool) -> list[segments.Segment]:
        """The segments of an earlier run that can be gone on with; the folder is there afterwards, and holds nothing else."""
        wanted = {
            "source": segments.source_print(self.info.path),
            "encoding": self._encoding.as_json(),
            "library": list(library.pyav().library_versions["libavcodec"]),
            "job": job,
        }
        with self._explaining():
            begun = self.folder.is_dir()
            self._release = segments.locked(self.folder)
            if begun:
                why = segments.changed(self.folder, wanted) if resume else "that was asked for"
                found = segments.finished(self.folder)
                if not why:
                    segments.remove_rest(self.folder, len(found))
                    if found:
                        self.notes.append(f"goes on after the {sum(len(each.times) for each in found):,} frames of an earlier run")
                    return found
                if found or not resume:
                    self.notes.append(f"begins anew: {why}")
                segments.clear(self.folder)
            segments.write_job(self.folder, wanted)
        return []

    def _note_settings(self) -> None:
        if self._encoding.pixel_format == "yuv444p" and "420" in self.info.pixel_format:
            self.notes.append(
                f"its odd size of {self._encoding.width} x {self._encoding.height} pixels is written 4:4:4, which some players do not show"
            )

    def _finish(self) -> None:
        with self._explaining():
            self._close_segment()
        if not self._segments:
            self._remove()
            raise OutputError(f"cannot write {self.path}", "not one picture was made")
        joined = self.folder / "joined.part"
        with self._explaining(joining_only=True):
            with joined.open("wb") as file:
                self.notes += joining.join(file, self._container, self.info, self._segments)
                file.flush()
                os.fsync(file.fileno())
            os.replace(joined, self._place)
        self._remove()

    def _last_time(self) -> int | None:
        if self._encoder is not None and self._encoder.times:
            return self._encoder.times[-1]
        return self._segments[-1].times[-1] if self._segments else None

    def _close_segment(self) -> None:
        if self._encoder is None or self._file is None:
            return
        if not self._encoder.times:
            self._abandon()
            return
        delay = self._encoder.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        times, self._encoder, self._file = self._encoder.times, None, None
        self._segments.append(segments.keep(self.folder, len(self._segments), self.finished, times, delay))

    def _remove(self) -> None:
        self._release()  # first: Windows removes no file that is held
        segments.remove(self.folder)

    def _abandon(self) -> None:
        if self._encoder is not None:
            self._encoder.abandon()
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
        self._encoder, self._file = None, None
        with contextlib.suppress(OSError):
            segments.remove_rest(self.folder, len(self._segments))

    @contextlib.contextmanager
    def _explaining(self, joining_only: bool = False) -> Iterator[None]:
        """Faults of the disk and of the codec become one OutputError that says how far it came; the open segment is given up."""
        try:
            yield
        except OutputError as fault:
            if not isinstance(fault.__cause__, OSError):
                raise
            raise self._failed(fault.__cause__, joining_only) from fault
        except (OSError, library.pyav().FFmpegError) as fault:
            raise self._failed(_disks_own(fault), joining_only) from fault

    def _failed(self, fault: BaseException, joining_only: bool) -> OutputError:
        self._abandon()
        what, done = f"cannot write {self.path}", self.finished
        number = getattr(fault, "errno", None)
        goes_on = "only joining is left" if joining_only else f"it goes on after frame {done:,}"
        kept = f", and run it again: {goes_on}; what is done plays, in {self.folder}" if done else ", and run it again"
        if number in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
            free = ""
            with contextlib.suppress(OSError):
                free = f" ({shutil.disk_usage(self._place.parent).free:,} bytes free)"
            return OutputError(what, f"the disk is full{free} after {done:,} frames", f"free some space{kept}")
        if number == errno.EFBIG:
            return OutputError(
                what, f"the file may not grow further, after {done:,} frames", f"raise the limit, or write to another disk{kept}"
            )
        if number in (errno.EACCES, errno.EPERM, errno.EROFS):
            return OutputError(what, f"the folder {self._place.parent} may not be written to", "choose another folder with -o")
        return OutputError(what, f"{library.said(fault)} (after {done:,} frames)", f"see to that{kept}")


def _disks_own(fault: BaseException) -> BaseException:
    """What the disk said, where PyAV reports a fault of its own on closing a file that had failed before."""
    before: BaseException | None = fault
    while before is not None:
        if isinstance(before, OSError) and not isinstance(before, library.pyav().FFmpegError):
            return before
        before = before.__cause__ or before.__context__
    return fault
