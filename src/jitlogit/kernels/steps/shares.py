"""How a team shares out chunks, features or classes among its members."""

from __future__ import annotations

from typing import NamedTuple

from ...compiler.jit import inline


class Share(NamedTuple):
    """One member's chunks, or parts of the features: first ... stop - 1 of n_chunks.

    `member` is also its row in a work space's arrays.
    """

    member: int
    members: int
    first: int
    stop: int
    n_chunks: int


@inline
def share_of(member, members, n_chunks):
    """A member's share: consecutive chunks; the shares of a team differ in size by one at most."""
    return Share(member, members, n_chunks * member // members, n_chunks * (member + 1) // members, n_chunks)


@inline
def part_of(share, count):
    """First of `count` features or classes that the share's member takes, and the one after its last."""
    return count * share.member // share.members, count * (share.member + 1) // share.members
