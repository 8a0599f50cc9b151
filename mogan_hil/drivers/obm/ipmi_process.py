# SPDX-License-Identifier: Apache-2.0
"""The processes in which pyghmi talks to controllers, one process a session.

pyghmi keeps its sessions, sockets and waiting lists in globals, and whichever thread waits for an answer also works on
the packets, retries and logins of all the others: logging in to one controller that falls silent half-way holds up
whoever else waits, and two threads may take the same packet. So no two sessions may share a process. Importing pyghmi
takes half a second and 40 MB; the first process (`main`) pays for that once and forks a child for each session, which
takes some milliseconds and a few MB.

The service (:mod:`.ipmi`) sends `main` one byte and one end of a socket for each session. On that socket it then sends
a line of JSON, gets one back, and so on. The password travels there too, and is never in an argument list or an
environment. A session logs out and ends when the service closes its end, dies, or says nothing for `IDLE` seconds;
whatever happens, a request does not outlive its time by more than `GRACE` seconds.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
from collections.abc import Mapping
from typing import Any

import pyghmi.exceptions
from pyghmi.ipmi import command, console
from pyghmi.ipmi.private import session as pyghmi_session

#: Seconds without a request after which a session ends: a controller has few of them to give.
IDLE = 3.0
#: Seconds that a request may take beyond its time before its process is ended.
GRACE = 5.0
#: Seconds between two looks whether something was typed on a console, or it was closed.
CONSOLE_INTERVAL = 0.05

#: What went wrong, as the service is told.
UNREACHABLE, REFUSED, FULL, NONSENSE = "unreachable", "refused", "full", "nonsense"
#: What pyghmi says when there was no answer: nothing at all while logging in, and these.
_NO_ANSWER = ("timeout", "Session no longer connected", "Session failed to initialize", "Unable to transmit", "None")
#: What a controller says that has no session left, or lost its own (IPMI 2.0, table 13-15), or whose console is taken.
_LATER = ("Insufficient resources", "Invalid Session ID", "Inactive Session ID", "another client", "Maximum SOL")

#: What pyghmi says of an answer that does not fit the password, and of one to a login that it has given up.
_UNFIT = "Incorrect password"
#: Whether the login was begun anew, since an answer was late.
_begun_anew = False

#: RAKP-HMAC-SHA1 (IPMI 2.0, table 13-17).
_HMAC_SHA1 = 1

#: Requested privilege levels (IPMI 2.0, table 22-20).
PRIVILEGES: Mapping[str, int] = {"user": 2, "operator": 3, "administrator": 4}


def main() -> None:
    """Fork a session for each socket that arrives on standard input, until it is closed."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the children need no waiting for
    _heed_algorithms()
    _heed_late_answers()
    gc.freeze()  # the collector would write to, and so copy, every page that is shared with the children
    with socket.socket(fileno=0) as control:
        while True:
            _, descriptors, _, _ = socket.recv_fds(control, 1, 1)
            if not descriptors:
                return
            if os.fork() == 0:
                control.detach()
                os.close(0)
                try:
                    _serve(socket.socket(fileno=descriptors[0]))
                finally:
                    os._exit(0)
            os.close(descriptors[0])


def _heed_algorithms() -> None:
    """Let pyghmi go on with the algorithms that a controller chose.

    It proposes SHA-256 and takes for granted that it is accepted. A controller that knows SHA-1 alone should refuse;
    VirtualBMC answers with what it knows (IPMI 2.0, 13.18: the authentication payload is at 12, its algorithm at 16).
    """
    got_response = pyghmi_session.Session._got_rmcp_response

    def heed(login: Any, data: bytearray) -> Any:
        fresh = login.sessioncontext == "OPENSESSION" and data[0] == login.rmcptag and data[1] == 0
        if fresh and login.attemptedhash == 256 and len(data) > 16 and data[16] == _HMAC_SHA1:
            login.attemptedhash = 1
            return login._open_rmcpplus_request()
        return got_response(login, data)

    pyghmi_session.Session._got_rmcp_response = heed


def _heed_late_answers() -> None:
    """Remember that a login was begun anew: it looks like the one before, whose answer may still come."""
    begin_anew = pyghmi_session.Session._relog

    def heed(login: Any) -> Any:
        global _begun_anew
        _begun_anew = True
        return begin_anew(login)

    pyghmi_session.Session._relog = heed


def _unsure(answer: Mapping[str, Any]) -> bool:
    """Whether the login may have been refused for a late answer. It is for another process to find out."""
    return _begun_anew and _UNFIT in answer.get("text", "")


def _serve(link: socket.socket) -> None:
    """One session: the first line says how to log in, the others are requests."""
    with link, link.makefile("rwb") as stream, contextlib.suppress(OSError):
        first = json.loads(stream.readline())
        signal.setitimer(signal.ITIMER_REAL, first["seconds"] + GRACE)  # its signal ends the process
        if first.pop("console"):
            _serve_console(link, first)
            return
        bmc: command.Command | None = None
        try:
            bmc = _log_in(first)
            answer: dict[str, Any] = {}
        except Exception as error:
            answer = explain(error)
        while True:
            if _unsure(answer):
                return
            stream.write(json.dumps(answer).encode() + b"\n")
            stream.flush()
            if bmc is None or answer.get("error") == UNREACHABLE:
                return
            signal.setitimer(signal.ITIMER_REAL, 0)
            if not select.select([link], [], [], IDLE)[0] or not (line := stream.readline()):
                break
            request = json.loads(line)
            signal.setitimer(signal.ITIMER_REAL, request["seconds"] + GRACE)
            answer = _ask(bmc, request)
        bmc.ipmi_session.logout()


def _log_in(login: Mapping[str, Any]) -> command.Command:
    return command.Command(
        bmc=login["host"],
        port=login["port"],
        userid=login["username"],
        password=login["password"],
        kg=login["kg"],
        privlevel=PRIVILEGES[login["privilege"]],
    )


def _ask(bmc: command.Command, request: Mapping[str, Any]) -> dict[str, Any]:
    try:
        # pyghmi sends a packet again that is not answered, in another session if need be, where the controller cannot
        # know that it is the same. What is to be done once has its first pause when nobody waits any more.
        pause = request["seconds"] + 2 * GRACE if request.get("once") else None
        answer = bmc.raw_command(
            netfn=request["netfn"], command=request["command"], data=request["data"], timeout=pause
        )
        if answer.get("code") == 0xFFFF:  # not a completion code: pyghmi's way to say that none came
            return {"error": UNREACHABLE, "text": str(answer.get("error"))}
        return {"code": answer["code"], "data": list(answer["data"]), "text": answer.get("error", "")}
    except Exception as error:
        return explain(error)


def explain(error: Exception | str | None) -> dict[str, Any]:
    """What went wrong, for the service."""
    text = str(error)
    kind = REFUSED
    if isinstance(error, OSError) or not text or text.startswith(_NO_ANSWER):
        kind = UNREACHABLE
    elif any(words in text for words in _LATER):
        kind = FULL
    elif isinstance(error, Exception) and not isinstance(error, pyghmi.exceptions.IpmiException):
        kind, text = NONSENSE, repr(error)  # pyghmi stumbled over an answer
    return {"error": kind, "text": text}


def _serve_console(link: socket.socket, login: Mapping[str, Any]) -> None:
    """Serial over LAN: one line of JSON, then what the node writes and what is typed, until the socket is closed."""
    early: list[bytes] = []
    errors: list[str] = []
    ready = False

    def received(data: bytes | Mapping[str, str]) -> None:
        if isinstance(data, Mapping):
            errors.extend(text for name, text in data.items() if name == "error")
        elif ready:
            link.sendall(data)
        else:
            early.append(data)

    try:
        terminal = console.Console(
            login["host"], login["username"], login["password"], received, port=login["port"], kg=login["kg"]
        )
        session = terminal.ipmi_session
        while not (terminal.connected or terminal.broken):
            console.Console.wait_for_rsp(CONSOLE_INTERVAL)
    except Exception as error:
        _refuse(link, explain(error))
        return
    if terminal.broken:
        _refuse(link, explain(errors[0] if errors else None))
        return
    signal.setitimer(signal.ITIMER_REAL, 0)
    with contextlib.suppress(OSError):
        link.sendall(b"{}\n" + b"".join(early))
        ready = True
        while not terminal.broken:
            if select.select([link], [], [], 0)[0]:
                if not (typed := link.recv(4096)):
                    break
                terminal.send_data(typed)
            console.Console.wait_for_rsp(CONSOLE_INTERVAL)
    signal.setitimer(signal.ITIMER_REAL, GRACE)
    terminal.close()
    session.logout()


def _refuse(link: socket.socket, answer: Mapping[str, Any]) -> None:
    if not _unsure(answer):
        link.sendall(json.dumps(answer).encode() + b"\n")


if __name__ == "__main__":
    main()
