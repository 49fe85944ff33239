"""What a member of a team takes of the chunks, features or classes that the team shares out."""

from __future__ import annotations

from typing import NamedTuple

from ...compiler.jit import inline


class Share(NamedTuple):
    """Chunks first ... stop - 1 of n_chunks, taken by one member; its work space has the number `member`."""

    member: int
    members: int
    first: int
    stop: int
    n_chunks: int


@inline
def share_of(member, members, n_chunks):
    """A member's share: neighbours, as many as everyone's or one more."""
    return Share(member, members, n_chunks * member // members, n_chunks * (member + 1) // members, n_chunks)


@inline
def part_of(share, count):
    """First of `count` features or classes that the same member takes, and the one after its last."""
    return count * share.member // share.members, count * (share.member + 1) // share.members
