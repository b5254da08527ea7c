"""Frechet distance of two sets of pictures, from statistics of their features that are gathered as they come."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from facewright.errors import InputError, ModelError
from facewright.metrics.moments import Moments


@dataclass(frozen=True)
class Statistics:
    """Mean (D) and covariance (D x D) of a set's features, float64; how many pictures they are of, 0 where a file does not say."""

    mean: Tensor
    covariance: Tensor
    count: int = 0

    @classmethod
    def read(cls, path: str | Path) -> Statistics:
        """An .npz of pytorch-fid (`mu`, `sigma`) or of `save`. Raises ModelError where it is missing or is none.

        The published .pth (inception_FFHQ_512-f7b384ab.pth) is read by `facewright.weights.judges.read_statistics`.
        """
        path = Path(path)
        try:
            with np.load(path, allow_pickle=False) as stored:
                mean, covariance = (torch.from_numpy(np.asarray(stored[key], np.float64)) for key in ("mu", "sigma"))
                count = int(stored["count"]) if "count" in stored else 0
        except FileNotFoundError:
            raise ModelError(f"cannot read the statistics {path}", "there is no such file", "check the path") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(f"cannot use the statistics {path}", f"no mu and sigma in an .npz ({error})", "get the file again") from error
        return cls.of(mean.flatten(), covariance, count, str(path))

    @classmethod
    def of(cls, mean: Tensor, covariance: Tensor, count: int = 0, source: str = "these") -> Statistics:
        """The same after a look at shapes and numbers. Raises ModelError where they are no mean and covariance."""
        if mean.ndim != 1 or covariance.shape != (len(mean), len(mean)):
            raise ModelError(f"cannot use the statistics {source}", f"mean {tuple(mean.shape)}, covariance {tuple(covariance.shape)}")
        if not bool(mean.isfinite().all() and covariance.isfinite().all()):
            raise ModelError(f"cannot use the statistics {source}", "they hold values that are not numbers", "get the file again")
        return cls(mean.double(), covariance.double(), count)

    def save(self, path: str | Path) -> None:
        """As pytorch-fid has it, with the number of pictures."""
        np.savez_compressed(path, mu=self.mean.numpy(), sigma=self.covariance.numpy(), count=np.int64(self.count))


def frechet_distance(first: Statistics, second: Statistics) -> float:
    """|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)), at least 0, exactly 0 for equal statistics (Dowson, Landau 1982; Heusel et al. 2017).

    The trace of the root comes from the eigenvalues of R^T S2 R with S1 = R R^T, which is symmetric: the same to 1e-6 as the programs
    that take the root of the product itself, also where there are fewer pictures than features. Raises InputError for other sizes.
    """
    if first.mean.shape != second.mean.shape:
        raise InputError("cannot compare these statistics", f"of {len(first.mean)} and of {len(second.mean)} features")
    if torch.equal(first.mean, second.mean) and torch.equal(first.covariance, second.covariance):
        return 0.0
    root = _root(first.covariance)
    product = root.T @ second.covariance @ root
    traced = torch.linalg.eigvalsh((product + product.T) / 2).clamp(min=0).sqrt().sum()
    apart = (first.mean - second.mean).square().sum()
    return max(0.0, float(apart + first.covariance.trace() + second.covariance.trace() - 2 * traced))


def _root(covariance: Tensor) -> Tensor:
    """R with R R^T = covariance: Cholesky's where it is of full rank, since it is ten times faster, else by eigenvectors."""
    factor: Tensor
    factor, failed = torch.linalg.cholesky_ex(covariance)
    if not int(failed):
        return factor
    values, vectors = torch.linalg.eigh(covariance)
    factor = vectors * values.clamp(min=0).sqrt()
    return factor


class Fid:
    """`fid[...]` of pictures that come in batches, against others or against given statistics.

    fewest: pictures a set must have; default one more than there are features, below which a covariance is not of full rank and the
    distance mostly tells how few the pictures were. Published numbers exist for fewer (CelebChild: 180); pass theirs to compare with them.
    Memory: two D x D matrices, however many pictures. The features are the caller's: `network(inception_input(pictures))`.
    """

    def __init__(self, against: Statistics | None = None, fewest: int | None = None) -> None:
        self.against, self.fewest = against, fewest
        self.restored, self.truth = Moments(), Moments()

    def update(self, restored: Tensor | None = None, truth: Tensor | None = None) -> None:
        """Features N x D of restored pictures, of true ones, or both. Raises InputError for NaN and for another D."""
        for rows, moments in ((restored, self.restored), (truth, self.truth)):
            if rows is not None:
                moments.update(rows)

    def merge(self, other: Fid) -> None:
        """Take in what another process has seen."""
        self.restored.merge(other.restored)
        self.truth.merge(other.truth)

    def compute(self) -> float:
        """Raises InputError for too few pictures, saying how many are needed."""
        mine = self.statistics(self.restored, "restored")
        return frechet_distance(mine, self.against or self.statistics(self.truth, "true"))

    def statistics(self, moments: Moments, what: str = "restored") -> Statistics:
        """Of one of the two sets. Raises InputError as `compute`."""
        needed = self.fewest if self.fewest is not None else len(moments.mean) + 1 if moments.count else 2
        if moments.count < max(2, needed):
            raise InputError(
                f"too few {what} pictures for FID: {moments.count}",
                f"it needs at least {max(2, needed)}",
                "add pictures, use KID, or name the number with fewest= where a published table has as few",
            )
        return Statistics(moments.mean.clone(), moments.covariance, moments.count)
