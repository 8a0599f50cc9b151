# SPDX-License-Identifier: Apache-2.0
"""Contract tests for drivers, for this project's and for anybody's.

How to add a driver
-------------------
1. Write a class in one file of your own package: a subclass of :class:`mogan_hil.drivers.switch.base.SwitchDriver`,
   :class:`mogan_hil.drivers.obm.base.ObmDriver`, :class:`mogan_hil.drivers.deploy.base.DeployDriver`,
   :class:`mogan_hil.drivers.headnode.base.HeadnodeDriver`, :class:`mogan_hil.drivers.allocator.base.Allocator`,
   :class:`mogan_hil.drivers.ipam.base.Ipam` or :class:`mogan_hil.drivers.network.base.NetworkDriver`. Its docstring's
   first line is what a list of drivers shows; `options_schema` says how it is set up, with `writeOnly: true` for
   secrets; `capabilities` says what it can do.
2. Name it in your package's metadata, one line in the namespace of its kind::

       [entry_points]
       mogan_hil.switch =
           acme = acme_switch:AcmeSwitch

3. Prove it: a test class of yours inherits from the contract and from `unittest.TestCase`, and says how to get at a
   device. ::

       class TestAcme(contract.SwitchContract, unittest.TestCase):
           driver_class = AcmeSwitch
           ports = ("1/1", "1/2", "1/3")
           unknown_port = "9/99"

           def options(self): return {"host": "192.0.2.1", "password": "secret"}
           def set_by_hand(self, port, state): ...

What a driver may count on: its options fit its schema; one thread calls it at a time; a call may come at any time and
again. What it must keep: the constructor does no input or output; each call ends within `environment.timeout` seconds;
it raises `DriverError` and nothing else, transient only where the same call may succeed later, and undone only where
the device certainly did nothing; its first text is fit for a tenant, without addresses and secrets; it never keeps in
memory what the device may have lost.
"""
