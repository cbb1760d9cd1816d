# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Options and fixtures. Every test runs with each MPM that was asked for; with pytest-xdist's
-n, many at a time: they wait most of the time."""
import os
import re
import shutil
import signal

import pytest

import cgroup
import httpd as harness
import namespace
from installation import Installation

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def pytest_addoption(parser):
    parser.addoption("--mpm", action="append", choices=harness.MPMS,
                     help="an MPM to test with; may be given several times; all without it")
    parser.addoption("--build", default=os.environ.get("top_builddir"),
                     help="where the modules were built")
    parser.addoption("--storm", type=int, default=20, help="how many kills make a storm")
    parser.addoption("--restarts", type=int, default=40, help="how many graceful ones in a row")
    parser.addoption("--keep", default=None, help="folder for the logs of failed tests")


def pytest_configure(config):
    # Whoever is told to end ends as by Ctrl-C: with all servers stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    config.addinivalue_line("markers", "any_mpm: what no MPM changes; run with event only")
    config.addinivalue_line("markers", "mpms(names): those with which it makes sense")
    config.addinivalue_line("markers", "long: begins before all others, since it takes longest")


def pytest_generate_tests(metafunc):
    if "mpm" in metafunc.fixturenames:
        metafunc.parametrize("mpm", metafunc.config.getoption("--mpm") or list(harness.MPMS))


def makes_sense(item):
    """With the MPM that it would run with. What does not is no test, and so none skipped."""
    mpm = getattr(item, "callspec", None) and item.callspec.params.get("mpm")
    return mpm is None or all(mpm in (marker.args or ("event",))
                              for name in ("mpms", "any_mpm") for marker in item.iter_markers(name))


def pytest_collection_modifyitems(config, items):
    senseless = [item for item in items if not makes_sense(item)]
    items[:] = [item for item in items if item not in senseless]
    config.hook.pytest_deselected(items=senseless)
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


def missing_need():
    """Why no httpd that eats memory can be run here, or None."""
    if os.geteuid() != 0:
        return "not root"
    try:
        with open("/dev/kmsg"):
            pass
    except OSError as e:
        return f"the kernel's log cannot be read: {e}"
    try:
        cgroup.Cgroup(f"mod_oom-test.{os.getpid()}.0", 16).remove()
        namespace.Namespace().remove()
    except (cgroup.CgroupError, namespace.NamespaceError) as e:
        return str(e)
    return None


@pytest.fixture(scope="session")
def installation(request):
    reason = missing_need()
    if reason:
        pytest.skip(reason)
    build = request.config.getoption("--build")
    if not build:
        pytest.fail("--build=FOLDER is needed: where configure and make were run")
    return Installation(os.path.abspath(build), SOURCE)


@pytest.fixture
def storm(request):
    return request.config.getoption("--storm")


@pytest.fixture
def restarts(request):
    return request.config.getoption("--restarts")


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.when == "call":
        item.call_failed = report.failed


@pytest.fixture
def httpd_unaudited(installation, mpm):
    """make(...) starts a private httpd (start=False: only makes it). They are stopped, but
    what they logged or left is not looked at: for tests of the harness."""
    made = []

    def make(start=True, **options):
        server = harness.Httpd(installation, harness.make_root(), mpm, **options)
        made.append(server)
        return server.start() if start else server

    make.made = made
    yield make
    for server in made:
        server.stop()
        server.discard()


@pytest.fixture
def httpd(request, httpd_unaudited):
    """The same, with the audit: undeclared lines and leftovers fail the test."""
    yield httpd_unaudited
    wrong = []
    for server in httpd_unaudited.made:
        wrong += server.stop()
        wrong += server.audit()
    if wrong or getattr(request.node, "call_failed", True):
        for server in httpd_unaudited.made:
            print(server.logs())
            keep(request, server)
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)


def keep(request, server):
    folder = request.config.getoption("--keep")
    if folder:
        name = re.sub(r"\W+", "-", f"{server.mpm}-{request.node.name}-{server.port}")
        shutil.copytree(server.root, os.path.join(folder, name), dirs_exist_ok=True,
                        ignore_dangling_symlinks=True, ignore=special_files)


def special_files(folder, names):
    return [n for n in names if not os.path.isdir(os.path.join(folder, n))
            and not os.path.isfile(os.path.join(folder, n))]
