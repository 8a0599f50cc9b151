# SPDX-License-Identifier: Apache-2.0
"""Asks oslo.policy. The rules are in :mod:`mogan_hil.policies`; a policy file of the site may change them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from oslo_config import cfg
from oslo_policy import opts, policy

from mogan_hil import conf as service_conf
from mogan_hil import policies
from mogan_hil.common import exception, parsing
from mogan_hil.context import RequestContext

#: Seconds for which an answer is remembered: oslo.policy looks at the policy files at every question.
MEMORY = 1.0


class Policy:
    """The rules of one process.

    :param conf: its group [oslo_policy] names the site's policy file
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        opts.set_defaults(conf)
        self.enforcer = policy.Enforcer(conf)
        self.enforcer.register_defaults(policies.list_rules())
        self.enforcer.load_rules()
        self._since = 0.0
        self._answers: dict[tuple[object, ...], bool] = {}

    def allows(self, context: RequestContext, rule: str, target: Mapping[str, Any]) -> bool:
        """Whether the caller may do this to the target.

        :raises oslo_policy.policy.PolicyNotRegistered: there is no such rule, which is a bug
        """
        # What belongs to nobody must not match a caller who acts for no project: both would read "None".
        named = {name: "" if value is None else value for name, value in target.items()}
        credentials = context.credentials()
        who = tuple(sorted((name, str(value)) for name, value in credentials.items()))
        question = (rule, tuple(sorted(named.items())), who)
        now = time.monotonic()
        if now - self._since > MEMORY:
            self._since, self._answers = now, {}
        answers = self._answers
        if question not in answers:
            with parsing.ALONE:  # oslo.policy parses the left side of each check of a rule
                answers[question] = bool(self.enforcer.authorize(rule, named, credentials, do_raise=False))
        return answers[question]

    def check(self, context: RequestContext, rule: str, target: Mapping[str, Any]) -> None:
        """Refuse what :meth:`allows` does not allow.

        :raises exception.Forbidden: the caller may not
        """
        if not self.allows(context, rule, target):
            raise exception.Forbidden(rule=rule)


def get_enforcer() -> policy.Enforcer:
    """For oslo.policy's own command-line tools, which find it by its entry point."""
    conf = cfg.ConfigOpts()
    service_conf.register_opts(conf)
    conf([], project="mogan_hil", prog="mogan-hil-policy")
    return Policy(conf).enforcer
