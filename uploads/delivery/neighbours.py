"""The other segments of a vendor's workspace, where what is sent for a member names all those that hold it."""

from __future__ import annotations

from audsync_web.jobs.leases import Lease
from audsync_web.vendors.selectors import accounts_beside
from segments.models import Destination, Wanted
from uploads.models import Delivery


def forget_removed_neighbours(lease: Lease, delivery: Delivery) -> None:
    """Name no segment any more that was taken from the vendor since the delivery was planned: naming brings it back."""
    named = delivery.memory.get("neighbours") or []
    if not any(named):
        return
    rows = Destination.objects.filter(
        vendor_account__in=accounts_beside(delivery.destination.vendor_account),
        remote_id__in=[name for name in named if name],
    )
    removed = rows.filter(wanted=Wanted.RELEASED).exclude(release_choice="leave")
    gone = set(removed.values_list("remote_id", flat=True))
    gone -= set(rows.exclude(wanted=Wanted.RELEASED).values_list("remote_id", flat=True))
    if gone:
        kept = ["" if name in gone else name for name in named]
        delivery.memory = {**delivery.memory, "neighbours": kept}
        lease.update(memory=delivery.memory)
