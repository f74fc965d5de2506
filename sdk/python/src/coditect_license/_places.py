"""Where a program runs besides a plain machine: the CI job, the container or the pod, by an id that no other has.

An id counts only as far as it is unique. A build's number is one server's, and a pod's name one namespace's; therefore
each id here carries what it is a number or a name of. docs/decisions of the repository has the reasons (63).
"""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ._files import lacks_descriptors

_UID = r"[0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32}"
"""A pod's uid; in the names of systemd's slices with low lines. A static pod's is a hash without hyphens."""
_SYSTEMS = ("lxc", "lxc-libvirt", "systemd-nspawn", "wsl", "snap")
"""What ``container`` says where a whole system runs, which is a machine of its own
(https://systemd.io/CONTAINER_INTERFACE)."""
_SERVICE_ACCOUNT = "var/run/secrets/kubernetes.io/serviceaccount"


@dataclass(frozen=True)
class MachineSources:
    """What a machine's identity is read from. Tests describe other machines with it."""

    env: Mapping[str, str]
    root: Path
    platform: str
    data_dir: Callable[[], Path]
    hostname: Callable[[], str]
    node: Callable[[], int] = uuid.getnode
    registry: Callable[[], str | None] = lambda: None
    """The Windows machine GUID."""
    ioreg: Callable[[], str | None] = lambda: None
    """The macOS platform UUID."""


@dataclass(frozen=True)
class _CiServer:
    """How one CI system names its jobs in the environment."""

    marker: str
    """The variable that this system sets and no other."""
    job: tuple[str, ...]
    """What tells one job from every other job of the same server."""
    server: tuple[str, ...] = ()
    """What tells one server from another. Where none of these is set, and ``job`` is not unique by itself, the host
    counts too."""
    unique: bool = False
    """Whether ``job`` is drawn at random (a UUID) or holds the server's address, so that it is unique everywhere."""


_CI_SERVERS = (
    _CiServer(
        "GITHUB_RUN_ID",
        ("GITHUB_REPOSITORY", "GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT", "GITHUB_JOB", "RUNNER_NAME"),
        ("GITHUB_SERVER_URL",),
    ),
    _CiServer("GITLAB_CI", ("CI_JOB_ID",), ("CI_SERVER_URL", "CI_SERVER_HOST", "CI_SERVER_PORT")),
    _CiServer("CIRCLECI", ("CIRCLE_WORKFLOW_JOB_ID", "CIRCLE_BUILD_URL", "CIRCLE_NODE_INDEX"), unique=True),
    _CiServer("BUILDKITE", ("BUILDKITE_JOB_ID",), unique=True),
    # Branches of one build that run in parallel share its URL and not its executor.
    _CiServer("JENKINS_URL", ("BUILD_URL", "JOB_NAME", "BUILD_TAG", "NODE_NAME", "EXECUTOR_NUMBER"), ("JENKINS_URL",)),
    # A Jenkins whose address nobody has set.
    _CiServer(
        "HUDSON_SERVER_COOKIE", ("JOB_NAME", "BUILD_TAG", "NODE_NAME", "EXECUTOR_NUMBER"), ("HUDSON_SERVER_COOKIE",)
    ),
    # SYSTEM_JOBID is the same in every build of a pipeline, and BUILD_BUILDID in every deployment of a release.
    _CiServer(
        "TF_BUILD",
        ("BUILD_BUILDID", "SYSTEM_JOBID", "SYSTEM_JOBATTEMPT", "RELEASE_DEPLOYMENTID", "RELEASE_ATTEMPTNUMBER"),
        ("SYSTEM_COLLECTIONID", "SYSTEM_COLLECTIONURI"),
    ),
    # BUILD_NUMBER counts within one configuration, whose name is unique within one project.
    _CiServer(
        "TEAMCITY_VERSION",
        ("BUILD_URL", "TEAMCITY_PROJECT_NAME", "TEAMCITY_BUILDCONF_NAME", "BUILD_NUMBER"),
        ("BUILD_URL",),
    ),
    _CiServer("TRAVIS", ("TRAVIS_JOB_ID",), ("TRAVIS_JOB_WEB_URL", "TRAVIS_BUILD_WEB_URL")),
    _CiServer(
        "BITBUCKET_BUILD_NUMBER",
        ("BITBUCKET_STEP_UUID", "BITBUCKET_BUILD_NUMBER", "BITBUCKET_PARALLEL_STEP"),
        ("BITBUCKET_REPO_UUID",),
    ),
    _CiServer("CODEBUILD_BUILD_ID", ("CODEBUILD_BUILD_ARN", "CODEBUILD_BUILD_ID"), unique=True),
    _CiServer("BUILDER_OUTPUT", ("BUILD_ID",), ("PROJECT_ID",)),
    _CiServer("APPVEYOR", ("APPVEYOR_JOB_ID",), ("APPVEYOR_URL", "APPVEYOR_ACCOUNT_NAME")),
    _CiServer("SEMAPHORE_JOB_ID", ("SEMAPHORE_JOB_ID",), unique=True),
    _CiServer("CIRRUS_CI", ("CIRRUS_TASK_ID",), unique=True),
    _CiServer(
        "DRONE",
        ("DRONE_REPO", "DRONE_BUILD_NUMBER", "DRONE_STAGE_NUMBER", "DRONE_STAGE_NAME"),
        ("DRONE_SYSTEM_HOST",),
    ),
    _CiServer("CI_PIPELINE_NUMBER", ("CI_REPO", "CI_PIPELINE_NUMBER", "CI_WORKFLOW_NUMBER"), ("CI_SYSTEM_URL",)),
    _CiServer("bamboo_buildKey", ("bamboo_buildResultsUrl", "bamboo_buildResultKey"), ("bamboo_buildResultsUrl",)),
    _CiServer(
        "GO_PIPELINE_COUNTER",
        (
            "GO_PIPELINE_NAME",
            "GO_PIPELINE_COUNTER",
            "GO_STAGE_NAME",
            "GO_STAGE_COUNTER",
            "GO_JOB_NAME",
            "GO_JOB_RUN_INDEX",
        ),
        ("GO_SERVER_URL",),
    ),
    # What any other system sets. The number of a build is nobody's alone.
    _CiServer("CI", ("BUILD_URL", "BUILD_ID"), ("BUILD_URL",)),
)


def find_ci_job(system: MachineSources) -> str | None:
    """The CI job, or ``None`` outside of one. Processes of one job share an id; no two jobs do, whatever server."""
    env = system.env
    # `act` runs a workflow on the machine of whoever tries it, and numbers every run 1.
    if env.get("ACT", "").lower() == "true":
        return None
    for ci in _CI_SERVERS:
        if env.get(ci.marker, "").lower() in ("", "false", "0"):
            continue
        job = [env.get(name, "") for name in ci.job]
        if not any(job):
            continue
        server = [env.get(name, "") for name in ci.server]
        here = [] if ci.unique or any(server) else [_host(system), _boot(system)]
        return "ci:" + "\0".join([ci.marker, *server, *job, *here])
    return None


def find_container(system: MachineSources) -> str | None:
    """The container's own id, or ``None`` outside of one.

    Kubernetes, Docker, Podman, containerd, CRI-O, ECS and Cloud Run are known. What shows a desktop another face
    (Flatpak, Snap, WSL, Toolbx, Distrobox) is no container, and neither is a whole system that stays (LXC, Incus,
    systemd-nspawn): that made a machine id of its own when it was started first.
    """
    if _is_desktop(system):
        return None
    env = system.env
    ecs = env.get("ECS_CONTAINER_METADATA_URI_V4") or env.get("ECS_CONTAINER_METADATA_URI")
    if ecs:
        return f"ecs:{ecs.rstrip('/').rsplit('/', 1)[-1]}"
    return _pod(system) or _engine(system) or _unknown_container(system)


def _is_desktop(system: MachineSources) -> bool:
    """Whether this is somebody's desktop though it may have marks of a container."""
    exists = _exists(system)
    return exists(".flatpak-info") or system.env.get("container") == "flatpak" or _is_workshop(system)


def _is_workshop(system: MachineSources) -> bool:
    """Toolbx and Distrobox: containers in which a person works as on the machine itself, with its home."""
    exists = _exists(system)
    entered = bool(system.env.get("DISTROBOX_ENTER_PATH")) and exists("run/host/etc")
    return exists("run/.toolboxenv") or entered


def machine_id_files(system: MachineSources) -> tuple[str, ...]:
    """Where the operating system's machine id stands, the best place first.

    Toolbx and Distrobox show the machine below ``/run/host``; their own id is another one after each making.
    """
    usual = ("etc/machine-id", "var/lib/dbus/machine-id")
    return ("run/host/etc/machine-id", *usual) if _is_workshop(system) else usual


def _pod(system: MachineSources) -> str | None:
    """A Kubernetes pod, by its uid. Its name repeats over namespaces and clusters: each StatefulSet has an `x-0`."""
    env = system.env
    given = env.get("POD_UID") if env.get("KUBERNETES_SERVICE_HOST") else None
    uid = given or _pod_in_mounts(system) or _pod_in_cgroup(system)
    if uid:
        return f"pod:{uid.replace('_', '-')}"
    if not env.get("KUBERNETES_SERVICE_HOST"):
        return None
    # A sandbox that hides its mounts (gVisor, Kata). The authority of a cluster is its own.
    namespace = env.get("POD_NAMESPACE") or read_text(system.root / _SERVICE_ACCOUNT / "namespace").strip()
    cluster = hashlib.sha256(read_text(system.root / _SERVICE_ACCOUNT / "ca.crt").encode()).hexdigest()[:16]
    name = env.get("POD_NAME") or env.get("HOSTNAME") or _host(system)
    return f"pod:{cluster}/{namespace}/{name}"


def _pod_in_mounts(system: MachineSources) -> str | None:
    # Not any path below the pod's: an engine inside of a pod keeps the files of its own containers there.
    return _mounted(system, ("/etc/hosts",), rf"/pods/({_UID})/etc-hosts\Z") or _mounted(
        system, ("/dev/termination-log",), rf"/pods/({_UID})/containers/[^/]+/[^/]+\Z"
    )


def _pod_in_cgroup(system: MachineSources) -> str | None:
    cgroup = read_text(system.root / "proc/self/cgroup")
    # At most the container's own part stands behind the pod's; a third is of an engine inside of the pod.
    found = re.search(rf"kubepods\S*?pod({_UID})(?:\.slice)?(?:/[^/\s]+)?$", cgroup, re.MULTILINE)
    return found.group(1) if found else None


def _engine(system: MachineSources) -> str | None:
    """A container of Docker, Podman, containerd or CRI-O, by the id its engine drew; the innermost of several."""
    cgroup = read_text(system.root / "proc/self/cgroup")
    found = re.search(r"(?:docker|libpod|containerd|crio|kubepods)\S*(?<![0-9a-f])([0-9a-f]{64})", cgroup)
    if found:
        return f"cgroup:{found.group(1)}"
    # With cgroups v2 the id shows in the mounts of the files the engine puts in.
    files = ("/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/run/.containerenv")
    mounted = _mounted(system, files, r"/(?:(?:overlay-)?containers/(?:[^/]+/)?|sandboxes/)([0-9a-f]{64})/")
    return f"mount:{mounted}" if mounted else None


def _unknown_container(system: MachineSources) -> str | None:
    exists, env = _exists(system), system.env
    marked = exists(".dockerenv") or exists("run/.containerenv") or env.get("K_SERVICE")
    manager = "" if env.get("container") in _SYSTEMS else env.get("container")
    if not (marked or manager):
        return None
    # Cloud Run gives each instance a host name.
    return f"host:{env.get('K_REVISION', '')}:{_host(system)}:{_boot(system)}"


def _mounted(system: MachineSources, points: tuple[str, ...], pattern: str) -> str | None:
    """What a pattern finds in the origin of what is mounted at one of ``points``, the first that has it.

    Other mounts do not count: a node of Kubernetes, and a container that has the node's file system in it, list the
    mounts of every pod there.
    """
    origins = dict(_mounts(read_text(system.root / "proc/self/mountinfo")))
    for point in points:
        found = re.search(pattern, origins.get(point, ""))
        if found:
            return found.group(1)
    return None


def _mounts(mountinfo: str) -> Iterator[tuple[str, str]]:
    """Each mount point with the path within its file system that is mounted there (proc_pid_mountinfo(5))."""
    for line in mountinfo.splitlines():
        fields = line.split(" ")
        if len(fields) > 4:
            yield fields[4], fields[3]


def _exists(system: MachineSources) -> Callable[[str], bool]:
    # os.path.exists never raises, unlike Path.exists, where a directory may not be searched.
    return lambda name: os.path.exists(system.root / name)  # noqa: PTH110


def _host(system: MachineSources) -> str:
    try:
        return system.hostname()
    except Exception:  # noqa: BLE001 - a name in another encoding
        return ""


def _boot(system: MachineSources) -> str:
    return read_text(system.root / "proc/sys/kernel/random/boot_id").strip()


def read_text(path: Path) -> str:
    """The beginning of a small file; nothing where it cannot be read.

    Raises :class:`OSError` where only a descriptor is missing, since the machine would be taken for another one.
    """
    try:
        return path.read_text("utf-8", "replace")[:262144]
    except (OSError, ValueError) as error:
        if lacks_descriptors(error):
            raise
        return ""
