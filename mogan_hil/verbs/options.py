# SPDX-License-Identifier: Apache-2.0
"""Options of drivers: what may be shown and what is sealed. Nothing here can read a secret that is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from oslo_log import log

from mogan_hil.common import exception, sealing
from mogan_hil.drivers import loader
from mogan_hil.drivers.base import MASK, Driver
from mogan_hil.verbs.base import Call

LOG = log.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Kept:
    """What a device has already.

    :param options: those that are not secret
    :param secrets: sealed, or in clear from before there were keys
    """

    options: Mapping[str, Any]
    secrets: Mapping[str, Any]


NOTHING = Kept({}, {})


def settle(
    call: Call,
    driver: type[Driver],
    device: tuple[str, str],
    options: Mapping[str, Any],
    kept: Kept = NOTHING,
    field: str = "options",
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Check options, and part those that may be shown from secrets, which are sealed.

    Each secret is by itself: one that is given is new, one that is null goes, one that is left out or sent as it is
    shown stays. Those that stay do not come along to another address: see `Driver.harmless_options`.

    :param device: its uuid and the name of its driver
    :returns: the options to show, and the sealed secrets
    :raises exception.BadField: they do not fit the driver; a mask is sent where there is no secret to keep; or secrets
        that stay were given for other options
    :raises exception.SecretsUnavailable: this process has no public key
    """
    secret = driver.secret_options()
    shown = {name: value for name, value in options.items() if name not in secret}
    masks = {name for name in secret if options.get(name) == MASK}
    if unknown := sorted(masks - kept.secrets.keys()):
        raise exception.BadField(field=f"{field}.{unknown[0]}", reason=f"{MASK} stands for a secret that is not there")
    fresh = {name: options[name] for name in options.keys() & secret - masks if options[name] is not None}
    gone = options.keys() & secret - masks
    stay = {name: value for name, value in kept.secrets.items() if name in secret and name not in gone}
    loader.check_options(driver, {**shown, **fresh}, field, kept=stay.keys())
    changed = sealing.differ(kept.options, shown, driver.harmless_options)
    if stay and changed:
        raise exception.BadField(
            field=f"{field}.{min(stay)}", reason=f"give it again: it was given for another {', '.join(changed)}"
        )
    clear = {name: value for name, value in stay.items() if not sealing.is_sealed(value)}
    return shown, {**stay, **_sealed(call, {**clear, **fresh}, sealing.Purpose(*device, shown))}


def _sealed(call: Call, secrets: Mapping[str, Any], purpose: sealing.Purpose) -> dict[str, Any]:
    try:
        return call.services.sealer.seal(secrets, purpose)
    except sealing.SealingError as error:
        LOG.error("Secrets cannot be sealed: %s", error)
        raise exception.SecretsUnavailable() from None
