"""Products, and what runs along axes."""

from __future__ import annotations

from .maker import FLOAT, WHOLE, Maker, Recipe


def gemm(m: Maker) -> None:
    rows, inner, columns = m.n, m.random.randint(1, 6), m.random.randint(1, 6)
    back, over = m.one_of((0, 0, 0, 1)), m.one_of((0, 1))
    m.arrive((inner, rows) if back else (rows, inner))
    m.either((columns, inner) if over else (inner, columns))
    if m.version < 11 or m.chance(0.7):
        m.either(m.one_of(((columns,), (1, columns), (1,), ())) if m.version >= 7 else (columns,))
        m.must(broadcast=1)
    m.set(alpha=m.one_of((0.5, 2.0)), beta=m.one_of((0.25, -1.0)))
    m.must(transA=back, transB=over)


def matmul(m: Maker) -> None:
    shape = m.shape(1, 4)
    m.arrive(shape)
    inner = shape[-1]
    columns = m.random.randint(1, 5)
    m.either(m.one_of(((inner, columns), (inner,), (*shape[:-2], inner, columns), (1, inner, columns))))


def einsum(m: Maker) -> None:
    equation, *shapes = m.one_of(
        (
            ("bij,bjk->bik", (m.n, 2, 3), (m.n, 3, 4)),
            ("bij,jk->bik", (m.n, 2, 3), (3, 4)),
            ("bhqd,bhkd->bhqk", (m.n, 2, 3, 4), (m.n, 2, 5, 4)),
            ("bchw->bhwc", (m.n, 2, 3, 4)),
            ("bij->bi", (m.n, 2, 3)),
            ("bii->bi", (m.n, 3, 3)),
            ("...i,ij->...j", (m.n, 2, 3), (3, 4)),
            ("bi,bj->bij", (m.n, 3), (m.n, 2)),
            ("bi,bi", (m.n, 3), (m.n, 3)),
        )
    )
    for shape in shapes:
        m.arrive(shape)
    m.must(equation=equation)


def attention(m: Maker) -> None:
    heads, size = m.one_of((1, 2)), m.one_of((2, 4))
    queries, keys = m.random.randint(1, 4), m.random.randint(1, 4)
    if m.chance():
        m.must(q_num_heads=heads, kv_num_heads=heads)
        shapes: list[tuple[int, ...]] = [(m.n, length, heads * size) for length in (queries, keys, keys)]
    else:
        shapes = [(m.n, heads, length, size) for length in (queries, keys, keys)]
    for shape in shapes:
        m.arrive(shape)
    if m.chance(0.3):
        m.known(m.rng.standard_normal((queries, keys)), FLOAT)
    m.set(is_causal=m.one_of((0, 1)), scale=m.one_of((0.5, 1.0)))


# Along axes


def soft(m: Maker) -> None:
    shape = m.shape(2)  # the axis that was the default up to opset 12 is 1
    m.arrive(shape)
    m.set(axis=m.axis(len(shape)))


def reduction(low: float = -3.0) -> Recipe:
    def recipe(m: Maker) -> None:
        shape = m.shape()
        m.arrive(shape, m.element(), low)
        if m.chance(0.8):
            m.setting("axes", m.axes(len(shape)))
        m.set(keepdims=m.one_of((0, 1)), noop_with_empty_axes=m.one_of((0, 1)))

    return recipe


def arg(m: Maker) -> None:
    shape = m.shape()
    m.arrive(shape, m.element())
    m.set(axis=m.axis(len(shape)), keepdims=m.one_of((0, 1)), select_last_index=m.one_of((0, 1)))


def top(m: Maker) -> None:
    shape = m.shape(2)
    axis = m.axis(len(shape))
    m.arrive(shape)
    count = m.random.randint(1, shape[axis])
    m.must(axis=axis)
    if m.has("k"):
        m.must(k=count)
    else:
        m.known([count], WHOLE)
    m.set(largest=m.one_of((0, 1)), sorted=1)
    m.outputs = 2


def running(m: Maker) -> None:
    shape = m.shape()
    m.arrive(shape, m.element())
    m.known(m.axis(len(shape)), WHOLE)
    m.set(exclusive=m.one_of((0, 1)), reverse=m.one_of((0, 1)))
