"""Mini-batches of F-ordered rows whose features are shared out: each member scores, adds and updates its own.

Of a small batch a column holds few rows, and half of them, in a shorter run still, would come from memory more slowly.
So members take columns instead of rows: each adds up the scores of its parts of the features, they meet, and each makes
residuals of the sums of all parts, taken in order, and updates its own weights. Parts follow from the data's shape and
not from the threads.
"""

from __future__ import annotations

from ...compiler.jit import helper, outline, parallel_kernel, prange
from ..simd import lanes
from ..steps import link, update
from ..steps.batches import Batches
from ..steps.labels import signs
from ..storage import operations as storage
from .chunks import place_of, rate_of
from .team import SPAN_BATCHES, barrier, do_epoch, members_of, open_region, span_number


@helper
def _part(n_features, step, n_parts, part):
    """First feature of a part, and the one after its last: of whole vectors, so that no two members write to one."""
    n_vectors = (n_features + step - 1) // step
    return step * (n_vectors * part // n_parts), min(n_features, step * (n_vectors * (part + 1) // n_parts))


@outline
def _walk(batches, work, control, member, span, first_batch, stop_batch, loss_sum):
    """Batches first_batch ... stop_batch - 1, as one of the members of a span; all use the first one's weights.

    Returns the sum of the losses, those before included, and at how many barriers this member slept.
    """
    rows, labels, order, cut, rates, _ = batches
    batch_size = cut.batch_size
    n_features = rows.shape[1]
    n_parts = work.partial_scores.shape[1]
    last = (labels.size - 1) // batch_size
    members = members_of(span)
    first_part, stop_part = n_parts * member // members, n_parts * (member + 1) // members
    weights, gradient = work.weights[0], work.gradients[member]
    bias = work.bias[member]
    bias[0] = work.bias[0, 0]
    sign, z, value = work.tiles[member, 0], work.tiles[member, 1], work.tiles[member, 2]
    step, nothing = lanes.width(z), lanes.fill(z, 0.0)
    sleeps = 0
    number = span_number(span) * (SPAN_BATCHES + 1)
    for batch in range(first_batch, stop_batch):
        first = place_of(order, batch) * batch_size
        size = min(batch_size, labels.size - first)
        following = min(batch + 1, last)
        following = place_of(order, following) * batch_size
        partial_scores = work.partial_scores[number % 2]
        for part in range(first_part, stop_part):
            j, end = _part(n_features, step, n_parts, part)
            storage.scores(
                rows.T[j:end].T,
                None,
                first,
                size,
                following,
                weights[j:end],
                weights.dtype.type(0),
                partial_scores[part],
            )
        if members > 1:
            sleeps += barrier(control, member, members, number)
        number += 1
        signs(labels, None, first, size, sign)
        for t in range(0, size, step):
            total = lanes.fill(z, bias[0])
            for part in range(n_parts):
                total += lanes.load(partial_scores[part], t)
            lanes.store(z, t, total)
        if size % step:  # lanes beyond the last row have no residual
            lanes.store(sign, size, nothing)
            lanes.store(z, size, nothing)
        if rates.with_loss and not member:
            link.losses(z, sign, size, value)
            for t in range(size):
                loss_sum += value[t]
        residual_sum = link.residuals(z, sign, size, value)
        rate = rate_of(rates, batch) / size
        for part in range(first_part, stop_part):
            j, end = _part(n_features, step, n_parts, part)
            storage.accumulate(rows.T[j:end].T, None, first, size, value, gradient)
            update.descend(rate, gradient, end - j, weights[j:])
        bias[0] -= rate * residual_sum
    if members > 1:  # the members of the next span read all weights
        sleeps += barrier(control, member, members, number)
    return loss_sum, sleeps


@parallel_kernel
def feature_epoch(rows, labels, order, cut, rates, rule, work, control, out_loss_sum, members):
    """As `epoch`, of small batches of F-ordered rows in their own order or in blocks, features as stored."""
    n_batches = (labels.size + cut.batch_size - 1) // cut.batch_size
    batch_bytes = cut.batch_size * rows.shape[1] * rows.itemsize
    open_region(control)
    for _ in prange(members):
        batches = Batches(rows, labels, order, cut, rates, rule)
        do_epoch(_walk, batches, work, n_batches, batch_bytes, control, members, out_loss_sum)
