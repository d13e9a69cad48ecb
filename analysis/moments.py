"""Sufficient statistics of the per-unit vector: one value, merged by `+`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis import exact
from experiments.errors import Invalid, NotEstimable

Array = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """n, sums and Gram matrix of the columns `names`, over units; a column that is absent means the constant 1.

    Shapes: `sums` (..., k), `gram` (..., k, k), `n` (...). What is summed is `value * 10**scale - pivot`: Python
    integers of any size where integers came in, floats about a pivot otherwise. Leading axes are many samples at once.
    """

    names: tuple[str, ...]
    n: Any
    sums: Array
    gram: Array
    scales: tuple[int, ...]
    pivot: tuple[float, ...]

    @classmethod
    def from_rows(
        cls, columns: Mapping[str, ArrayLike], scales: Mapping[str, int] | None = None, idle: int = 0
    ) -> "Moments":
        """The moments of arrays, one a column, one entry a unit: exact for integers and for short decimals.

        `scales` says which columns come as integers already multiplied by `10**scale`; `idle` more units have 0 in
        every column. Raises Invalid.
        """
        names = tuple(columns)
        arrays = [_finite(name, np.asarray(columns[name])) for name in names]
        if len({len(a) for a in arrays}) > 1:
            raise Invalid.at("columns", "the columns differ in length")
        n = len(arrays[0]) if arrays else 0
        places, pivot, shifted = [], [], []
        for name, array in zip(names, arrays, strict=True):
            fixed = exact.as_integers(array)
            # idle units would each add the pivot, and where most are 0 the mean is not far from 0 anyway
            shift = _pivot(array) if fixed is None and not idle else 0.0
            places.append((scales or {}).get(name, 0) + (0 if fixed is None else fixed[1]))
            pivot.append(shift)
            shifted.append(array - shift if fixed is None else fixed[0])
        sums, gram = exact.sums_and_products(names, shifted)
        return cls(names, n + idle, sums, gram, tuple(places), tuple(pivot))

    @classmethod
    def from_aggregates(
        cls,
        n: int,
        sums: Mapping[str, int | float],
        products: Mapping[tuple[str, str], int | float],
        scales: Mapping[str, int] | None = None,
        pivots: Mapping[str, float] | None = None,
    ) -> "Moments":
        """The moments from sums and sums of products (each pair once, either order); `scales` are decimal places."""
        names = tuple(sums)
        k = len(names)
        gram = np.empty((k, k), dtype=object)
        for i, a in enumerate(names):
            for j, b in enumerate(names):
                if (a, b) not in products and (b, a) not in products:
                    raise Invalid.at(f"products[{a},{b}]", "the sum of this product is needed")
                gram[i, j] = _number(f"products[{a},{b}]", products.get((a, b), products.get((b, a))))
        total = np.array([_number(f"sums[{a}]", sums[a]) for a in names] or [], dtype=object)
        if n < 0:
            raise Invalid.at("n", f"{n} units")
        return cls(
            names, int(n), total, gram,
            tuple((scales or {}).get(a, 0) for a in names),
            tuple(float((pivots or {}).get(a, 0.0)) for a in names),
        )  # fmt: skip

    @classmethod
    def from_summary(cls, names: Sequence[str], n: int, means: ArrayLike, covariances: ArrayLike) -> "Moments":
        """The moments from means (k) and covariances with divisor n - 1, (k, k): what a published table gives."""
        mean = np.atleast_1d(np.asarray(means, dtype=np.float64))
        cov = np.atleast_2d(np.asarray(covariances, dtype=np.float64))
        if mean.shape != (len(names),) or cov.shape != (len(names), len(names)):
            raise Invalid.at(
                "covariances", f"{len(names)} means and as many rows and columns of covariances are needed"
            )
        if not (np.isfinite(mean).all() and np.isfinite(cov).all()):
            raise Invalid.at("means", "holds a value that is missing or not finite")
        gram = np.array([[float(c) * (n - 1) for c in row] for row in cov], dtype=object)
        pivot = tuple(map(float, mean))
        return cls(tuple(names), int(n), np.array([0.0] * len(names), dtype=object), gram, (0,) * len(names), pivot)

    @classmethod
    def from_arrays(cls, names: Sequence[str], rows: NDArray[np.float64]) -> "Moments":
        """The moments of many samples at once: `rows` is (..., units, k), the leading axes stay."""
        pivot = rows.mean(axis=tuple(range(rows.ndim - 1)))
        shifted = rows - pivot
        gram = np.swapaxes(shifted, -1, -2) @ shifted
        n = np.full(rows.shape[:-2], rows.shape[-2]) if rows.ndim > 2 else rows.shape[-2]
        return cls(tuple(names), n, shifted.sum(axis=-2), gram, (0,) * len(names), tuple(map(float, pivot)))

    @classmethod
    def stacked(cls, names: Sequence[str], n: ArrayLike, sums: Array, gram: Array) -> "Moments":
        """The moments of many samples from sums (..., k) and Gram matrices (..., k, k) that are already there."""
        return cls(tuple(names), np.asarray(n), sums, gram, (0,) * len(names), (0.0,) * len(names))

    def __add__(self, other: "Moments") -> "Moments":
        if set(self.names) != set(other.names):
            raise Invalid.at("names", f"{self.names} and {other.names} are not the same columns")
        other = other.restrict(self.names)
        scales = tuple(max(a, b) for a, b in zip(self.scales, other.scales, strict=True))
        left, right = self._rescaled(scales), other._rescaled(scales)
        pivot = tuple(p or q for p, q in zip(left.pivot, right.pivot, strict=True))
        left, right = left._shifted(pivot), right._shifted(pivot)
        return Moments(left.names, left.n + right.n, left.sums + right.sums, left.gram + right.gram, scales, pivot)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Moments)
            and (self.names, self.scales, self.pivot) == (other.names, other.scales, other.pivot)
            and bool(np.array_equal(self.n, other.n))
            and np.array_equal(self.sums, other.sums)
            and np.array_equal(self.gram, other.gram)
        )

    __hash__ = None  # type: ignore[assignment]  # arrays inside

    def restrict(self, names: Sequence[str]) -> "Moments":
        """The same sample, these columns only, in this order."""
        if tuple(names) == self.names:
            return self
        at = [self.index(name) for name in names]
        return Moments(
            tuple(names), self.n, self.sums[..., at], self.gram[..., at, :][..., :, at],
            tuple(self.scales[i] for i in at), tuple(self.pivot[i] for i in at),
        )  # fmt: skip

    def index(self, name: str) -> int:
        """Where a column stands; raises Invalid when it is not there."""
        try:
            return self.names.index(name)
        except ValueError:
            raise Invalid.at("column", f"{name!r} is not among {', '.join(self.names) or 'no columns'}") from None

    @property
    def exact(self) -> bool:
        """Whether this is one sample held by Python numbers, rather than many in float arrays."""
        return bool(self.sums.dtype == object)

    @property
    def integral(self) -> bool:
        """Whether every sum is an integer, so that nothing is rounded before the end."""
        return self.exact and all(isinstance(s, int) for s in (*self.sums, *self.gram.flat))

    @property
    def total(self) -> NDArray[np.float64]:
        """The sums of the columns, (..., k)."""
        if not self.exact:
            return np.asarray(self.sums + np.asarray(self.pivot) * np.asarray(self.n)[..., None], dtype=np.float64)
        return np.array(
            [
                s / 10**scale if isinstance(s, int) else (s + self.n * p) / 10**scale
                for s, scale, p in zip(self.sums, self.scales, self.pivot, strict=True)
            ],
            dtype=np.float64,
        )

    @property
    def mean(self) -> NDArray[np.float64]:
        """The means of the columns, (..., k); raises NotEstimable for a sample of no unit."""
        if not self.exact:
            return np.asarray(self.sums / np.asarray(self.n)[..., None] + np.asarray(self.pivot), dtype=np.float64)
        if self.n == 0:
            raise NotEstimable("no units")
        return np.array(
            [
                s / (self.n * 10**scale) if isinstance(s, int) else (s / self.n + p) / 10**scale
                for s, scale, p in zip(self.sums, self.scales, self.pivot, strict=True)
            ],
            dtype=np.float64,
        )

    @property
    def cov(self) -> NDArray[np.float64]:
        """The covariances of the columns with divisor n - 1, (..., k, k); raises NotEstimable below two units."""
        if not self.exact:
            n = np.asarray(self.n, dtype=np.float64)[..., None, None]
            centred = self.gram - self.sums[..., :, None] * self.sums[..., None, :] / n
            return np.asarray(centred / (n - 1), dtype=np.float64)
        k = len(self.names)
        out = np.empty((k, k))
        for i in range(k):
            for j in range(k):
                out[i, j] = self._covariance(i, j)
        return out

    def mean_fraction(self, name: str) -> Fraction:
        """The mean of a column, not rounded; raises NotEstimable for a sample of no unit."""
        if self.n == 0:
            raise NotEstimable("no units")
        i = self.index(name)
        total, units = self.sums[i], self.n * 10 ** self.scales[i]
        if isinstance(total, int) and not self.pivot[i]:
            return Fraction(total, units)
        return Fraction(Fraction(total) + self.n * Fraction(self.pivot[i]), units)

    def bilinear(self, g: NDArray[np.float64], h: NDArray[np.float64]) -> Any:
        """The covariance of the linear forms g and h of a unit's columns, (...): exact until the last rounding."""
        if not self.integral:
            return np.einsum("...i,...ij,...j->...", g, self.cov, h)
        if self.n < 2:
            raise NotEstimable("fewer than two units")
        left, below = self._whole(g)
        right, under = (left, below) if np.array_equal(g, h) else self._whole(h)
        products = sum(a * b * self.gram[i, j] for i, a in left.items() for j, b in right.items())
        sums = [sum(a * self.sums[i] for i, a in form.items()) for form in (left, right)]
        return (self.n * products - sums[0] * sums[1]) / (below * under * self.n * (self.n - 1))

    def _whole(self, g: NDArray[np.float64]) -> tuple[dict[int, int], int]:
        """A form's coefficients on the sums as integers over one denominator; a float is one over a power of 2."""
        ratios = {int(i): float(g[i]).as_integer_ratio() for i in np.flatnonzero(g)}
        below = max((d for _, d in ratios.values()), default=1)
        most = max(self.scales, default=0)
        whole = {i: n * (below // d) * 10 ** (most - self.scales[i]) for i, (n, d) in ratios.items()}
        return whole, below * 10**most

    def _fraction(self, i: int, j: int) -> Fraction:
        if self.n < 2:
            raise NotEstimable("fewer than two units")
        scale = 10 ** (self.scales[i] + self.scales[j])
        centred = self.n * self.gram[i, j] - self.sums[i] * self.sums[j]
        return Fraction(centred, self.n * (self.n - 1) * scale)

    def _covariance(self, i: int, j: int) -> float:
        if self.n < 2:
            raise NotEstimable("fewer than two units")
        product = self.gram[i, j]
        if isinstance(product, int) and isinstance(self.sums[i], int) and isinstance(self.sums[j], int):
            return float(self._fraction(i, j))
        scale = 10.0 ** (self.scales[i] + self.scales[j])
        centred = (product - self.sums[i] * self.sums[j] / self.n) / (self.n - 1) / scale
        return max(float(centred), 0.0) if i == j else float(centred)

    def _rescaled(self, scales: tuple[int, ...]) -> "Moments":
        if scales == self.scales:
            return self
        factor = np.array([10 ** (b - a) for a, b in zip(self.scales, scales, strict=True)], dtype=object)
        gram = self.gram * factor[:, None] * factor[None, :]
        pivot = tuple(p * f for p, f in zip(self.pivot, factor, strict=True))
        return Moments(self.names, self.n, self.sums * factor, gram, scales, pivot)

    def _shifted(self, pivot: tuple[float, ...]) -> "Moments":
        """The same sample about another pivot: sum (x-q)(y-r) from sum (x-p)(y-s)."""
        if pivot == self.pivot:
            return self
        step = [p - q for p, q in zip(self.pivot, pivot, strict=True)]
        shift = np.array([d or 0 for d in step], dtype=self.sums.dtype)
        n = self.n if self.exact else np.asarray(self.n)[..., None]
        sums = self.sums + n * shift
        outer = self.sums[..., :, None] * shift + shift[:, None] * self.sums[..., None, :]
        n = self.n if self.exact else np.asarray(self.n)[..., None, None]
        gram = self.gram + outer + n * (shift[:, None] * shift[None, :])
        return Moments(self.names, self.n, sums, gram, self.scales, pivot)


def _finite(name: str, array: Array) -> Array:
    if array.dtype == object or array.dtype.kind not in "biuf":
        raise Invalid.at(name, "a column of numbers is needed")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise Invalid.at(name, "holds a value that is missing or not finite")
    return array


def _number(field: str, value: Any) -> int | float:
    if isinstance(value, int | np.integer):
        return int(value)
    number = float(value)
    if not np.isfinite(number):
        raise Invalid.at(field, f"{value} is not a finite number")
    return int(number) if number.is_integer() and abs(number) < exact.LARGEST_INTEGER else number


def _pivot(array: Array) -> float:
    """A value amid the data: exactly the value where all are the same, so that their variance is exactly 0."""
    if len(array) == 0:
        return 0.0
    first = float(array[0])
    return first if bool((array == array[0]).all()) else float(array.mean())
