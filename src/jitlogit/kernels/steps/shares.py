"""Which chunks of the rows a member of a team takes."""

from __future__ import annotations

from typing import NamedTuple

from ...compiler.jit import inline


class Share(NamedTuple):
    """Chunks first ... stop - 1 of n_chunks, taken by one member, whose room to work in has the number `member`."""

    member: int
    first: int
    stop: int
    n_chunks: int


@inline
def share_of(member, members, n_chunks):
    """A member's share: neighbours, as many as everyone's or one more."""
    return Share(member, n_chunks * member // members, n_chunks * (member + 1) // members, n_chunks)
