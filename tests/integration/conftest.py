# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Options and fixtures. tests/run calls this once for each MPM."""
import os
import re
import shutil
import signal

import pytest

import cgroup
import httpd as harness

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def pytest_addoption(parser):
    parser.addoption("--mpm", default="event", choices=harness.MPMS)
    parser.addoption("--build", default=os.environ.get("top_builddir"),
                     help="where the modules were built")
    parser.addoption("--storm", type=int, default=20, help="how many kills make a storm")
    parser.addoption("--restarts", type=int, default=6, help="how many graceful ones in a row")
    parser.addoption("--keep", default=None, help="folder for the logs of failed tests")


def pytest_configure(config):
    # Whoever is told to end ends as by Ctrl-C: with all servers stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    config.addinivalue_line("markers", "any_mpm: what no MPM changes; run with event only")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--mpm") != "event":
        once = [item for item in items if item.get_closest_marker("any_mpm")]
        items[:] = [item for item in items if item not in once]
        config.hook.pytest_deselected(items=once)


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
    except cgroup.CgroupError as e:
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
    return harness.Installation(os.path.abspath(build), SOURCE)


@pytest.fixture
def mpm(request):
    return request.config.getoption("--mpm")


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
        shutil.rmtree(server.root)


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
