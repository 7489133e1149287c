"""What every connector promises, as one class that each vendor's tests inherit; a vendor supplies facts only.

Each module holds the promises of one kind; `kit` lists the facts.

    class TestXandrContract(ConnectorContract):
        vendor = "xandr"
        wrong_credentials = {"password": "wrong-password"}
        members = [str(n) for n in range(1, 41)]

The sandbox module `audsync_web.sandbox.<vendor>` gives `DEMO_CREDENTIALS` and `DEMO_SETTINGS`. Switches are called by
their usual names; `switches` maps one to the vendor's own (or to None where the vendor has no such thing):

    throttle                 the next request is answered 429 with Retry-After
    server_error             the next request is answered 500
    drop_before_<effect>     the connection closes before the effect was done
    drop_after_<effect>      the connection closes after the effect was done
    unknown_status           a job that is not finished shows a word that nobody knows
    extra_fields             every JSON answer holds fields that nobody knows
"""

from __future__ import annotations

from .account import AccountPromises
from .declaration import DeclarationPromises
from .planning import PlanningPromises
from .privacy import PrivacyPromises
from .segments import SegmentPromises
from .sending import SendingPromises
from .trouble import TroublePromises


class ConnectorContract(
    DeclarationPromises,
    AccountPromises,
    TroublePromises,
    PrivacyPromises,
    SegmentPromises,
    PlanningPromises,
    SendingPromises,
):
    """Inherit, name it `Test…`, and fill in the facts that `kit.Facts` names."""
