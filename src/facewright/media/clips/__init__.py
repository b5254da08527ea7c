"""Clips: read and written picture by picture, with all else that a clip holds kept. Needs PyAV, the extra ``video``."""

from facewright.media.clips.info import ClipInfo, Frame
from facewright.media.clips.kinds import SUFFIXES, is_clip
from facewright.media.clips.reader import ClipReader
from facewright.media.clips.segments import finished_frames, part_folder
from facewright.media.clips.writer import ClipWriter

__all__ = ["SUFFIXES", "ClipInfo", "ClipReader", "ClipWriter", "Frame", "finished_frames", "is_clip", "part_folder"]
