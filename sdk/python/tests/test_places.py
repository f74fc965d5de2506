"""CI jobs, containers and pods: no two are one machine, none changes by itself, and a desktop is none of them."""

from __future__ import annotations

import pytest

from coditect_license._identity import MachineIdentity, find_machine

from .conftest import Make

CONTAINER = "3f" * 32


CONTAINERS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "docker, cgroups v1": ({"proc/self/cgroup": f"12:cpu:/docker/{CONTAINER}\n"}, {}),
    "docker, cgroups v2": (
        {
            ".dockerenv": "",
            "proc/self/mountinfo": f"1 2 0:1 /var/lib/docker/containers/{CONTAINER}/hostname /etc/hostname rw\n",
        },
        {},
    ),
    "podman": ({"run/.containerenv": "", "proc/sys/kernel/random/boot_id": "b\n"}, {}),
    "kubernetes": ({}, {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "HOSTNAME": "studio-7d9f-x2x"}),
    "ecs": ({}, {"ECS_CONTAINER_METADATA_URI_V4": "http://169.254.170.2/v4/abc-123"}),
    "cloud run": ({}, {"K_SERVICE": "studio", "K_REVISION": "studio-1"}),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_is_known_by_its_own_id_not_by_its_images(system: Make, name: str) -> None:
    files, env = CONTAINERS[name]
    machine = find_machine(system({"etc/machine-id": "0" * 32, **files}, env=env))
    assert (machine.deployment, machine.source) == ("container", "container")
    assert machine.instance is not None and "0" * 32 not in machine.id


def test_two_pods_of_one_image_are_two_machines(system: Make) -> None:
    ids = {
        find_machine(
            system({"etc/machine-id": "0" * 32}, env={"KUBERNETES_SERVICE_HOST": "10.0.0.1", "HOSTNAME": name})
        ).id
        for name in ("pod-a", "pod-b")
    }
    assert len(ids) == 2


JOBS: list[dict[str, str]] = [
    {"GITHUB_RUN_ID": "1", "GITHUB_JOB": "test", "GITHUB_REPOSITORY": "a/b"},
    {"GITHUB_RUN_ID": "1", "GITHUB_JOB": "lint", "GITHUB_REPOSITORY": "a/b"},
    {"GITLAB_CI": "true", "CI_JOB_ID": "7"},
    {"CIRCLECI": "true", "CIRCLE_WORKFLOW_JOB_ID": "x"},
    {"BUILDKITE": "true", "BUILDKITE_JOB_ID": "x"},
    {"JENKINS_URL": "https://j", "BUILD_TAG": "jenkins-a-1"},
    {"TF_BUILD": "True", "SYSTEM_JOBID": "x"},
    {"CI": "true", "BUILD_ID": "9"},
]


def test_every_ci_job_is_a_machine_of_its_own_also_inside_a_container(system: Make) -> None:
    machines = [find_machine(system({".dockerenv": "", "etc/machine-id": "0" * 32}, env=env)) for env in JOBS]
    assert {machine.deployment for machine in machines} == {"ci"}
    assert len({machine.id for machine in machines}) == len(JOBS)
    assert all(machine.instance for machine in machines)


def test_two_builds_of_other_servers_and_projects_are_two_machines(system: Make) -> None:
    """What differs is one thing at a time: the server, the project or a part of a job. All have the number 17."""
    base, others = BUILDS
    for name, env in base.items():
        machines = [find_machine(system(env=env))]
        machines += [find_machine(system(env={**env, **other})) for other in others[name]]
        assert len({machine.id for machine in machines}) == len(machines), name
        assert {machine.deployment for machine in machines} == {"ci"}, name
        assert find_machine(system(env={**env, "HOSTNAME": "another", "PWD": "/x"})).id == machines[0].id, name


BUILDS: tuple[dict[str, dict[str, str]], dict[str, list[dict[str, str]]]] = (
    {
        "teamcity": {
            "TEAMCITY_VERSION": "2025.07",
            "TEAMCITY_PROJECT_NAME": "studio",
            "TEAMCITY_BUILDCONF_NAME": "Build",
            "BUILD_NUMBER": "17",
            "BUILD_URL": "https://tc.example/viewLog.html?buildId=901",
        },
        "teamcity before it told the URL": {
            "TEAMCITY_VERSION": "2019.1",
            "TEAMCITY_PROJECT_NAME": "studio",
            "TEAMCITY_BUILDCONF_NAME": "Build",
            "BUILD_NUMBER": "17",
        },
        "github": {
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_REPOSITORY": "a/b",
            "GITHUB_RUN_ID": "17",
            "GITHUB_RUN_ATTEMPT": "1",
            "GITHUB_JOB": "test",
            "RUNNER_NAME": "r1",
        },
        "gitlab": {"GITLAB_CI": "true", "CI_SERVER_URL": "https://gitlab.com", "CI_JOB_ID": "17"},
        "jenkins": {
            "JENKINS_URL": "https://j.example/",
            "JOB_NAME": "a/b",
            "BUILD_TAG": "jenkins-a-b-17",
            "EXECUTOR_NUMBER": "0",
            "NODE_NAME": "n1",
        },
        "jenkins without an address": {
            "HUDSON_SERVER_COOKIE": "c1",
            "JOB_NAME": "a/b",
            "BUILD_TAG": "jenkins-a-b-17",
            "EXECUTOR_NUMBER": "0",
        },
        "azure": {
            "TF_BUILD": "True",
            "SYSTEM_COLLECTIONID": "c1",
            "BUILD_BUILDID": "17",
            "SYSTEM_JOBID": "12f1170f-54f2-53f3-20dd-22fc7dff55f9",
            "SYSTEM_JOBATTEMPT": "1",
        },
        "travis": {"TRAVIS": "true", "TRAVIS_JOB_ID": "17", "TRAVIS_JOB_WEB_URL": "https://t.example/a/b/jobs/17"},
        "bitbucket": {"BITBUCKET_BUILD_NUMBER": "17", "BITBUCKET_REPO_UUID": "{r}", "BITBUCKET_STEP_UUID": "{s}"},
        "drone": {
            "DRONE": "true",
            "CI": "true",
            "DRONE_SYSTEM_HOST": "d.example",
            "DRONE_REPO": "a/b",
            "DRONE_BUILD_NUMBER": "17",
            "DRONE_STAGE_NUMBER": "1",
        },
        "woodpecker": {
            "CI": "woodpecker",
            "CI_SYSTEM_URL": "https://w.example",
            "CI_REPO": "a/b",
            "CI_PIPELINE_NUMBER": "17",
            "CI_WORKFLOW_NUMBER": "1",
        },
        "gocd": {
            "GO_SERVER_URL": "https://g.example/go",
            "GO_PIPELINE_NAME": "studio",
            "GO_PIPELINE_COUNTER": "17",
            "GO_STAGE_NAME": "test",
            "GO_STAGE_COUNTER": "1",
            "GO_JOB_NAME": "unit",
        },
        "cloud build": {"BUILDER_OUTPUT": "/b", "PROJECT_ID": "p", "BUILD_ID": "17"},
        "another": {"CI": "true", "BUILD_ID": "17", "BUILD_URL": "https://ci.example/studio/17"},
    },
    {
        "teamcity": [
            {"BUILD_URL": "https://other.example/viewLog.html?buildId=901"},
            {"BUILD_URL": "https://tc.example/viewLog.html?buildId=902"},
        ],
        "teamcity before it told the URL": [{"TEAMCITY_PROJECT_NAME": "other"}, {"TEAMCITY_BUILDCONF_NAME": "Test"}],
        "github": [
            {"GITHUB_SERVER_URL": "https://github.example"},
            {"GITHUB_REPOSITORY": "a/c"},
            {"GITHUB_RUN_ATTEMPT": "2"},
            {"RUNNER_NAME": "r2"},
        ],
        "gitlab": [{"CI_SERVER_URL": "https://gitlab.example:8443"}, {"CI_SERVER_URL": "https://gitlab.com/sub"}],
        "jenkins": [{"JENKINS_URL": "https://k.example/"}, {"JOB_NAME": "a-b"}, {"NODE_NAME": "n2"}],
        "jenkins without an address": [{"HUDSON_SERVER_COOKIE": "c2"}, {"JOB_NAME": "a-b"}, {"EXECUTOR_NUMBER": "1"}],
        "azure": [
            {"SYSTEM_COLLECTIONID": "c2"},
            {"BUILD_BUILDID": "18"},
            {"RELEASE_DEPLOYMENTID": "4"},
            {"SYSTEM_JOBATTEMPT": "2"},
        ],
        "travis": [{"TRAVIS_JOB_WEB_URL": "https://u.example/a/b/jobs/17"}],
        "bitbucket": [{"BITBUCKET_REPO_UUID": "{q}"}, {"BITBUCKET_STEP_UUID": "{t}"}],
        "drone": [{"DRONE_SYSTEM_HOST": "e.example"}, {"DRONE_REPO": "a/c"}, {"DRONE_STAGE_NUMBER": "2"}],
        "woodpecker": [{"CI_SYSTEM_URL": "https://x.example"}, {"CI_REPO": "a/c"}, {"CI_WORKFLOW_NUMBER": "2"}],
        "gocd": [{"GO_SERVER_URL": "https://h.example/go"}, {"GO_PIPELINE_NAME": "other"}, {"GO_JOB_NAME": "lint"}],
        "cloud build": [{"PROJECT_ID": "q"}],
        "another": [{"BUILD_URL": "https://ci.example/other/17"}],
    },
)


def test_a_number_of_nobody_known_is_told_apart_by_the_host_and_its_boot(system: Make) -> None:
    for env in (
        {"CI": "true", "BUILD_ID": "17"},
        {"TEAMCITY_VERSION": "2019.1", "BUILD_NUMBER": "17"},
        {"GITLAB_CI": "true", "CI_JOB_ID": "17"},
    ):
        ids = {find_machine(system(env=env, hostname=lambda name=name: name)).id for name in ("agent-a", "agent-b")}
        assert len(ids) == 2, env


def test_a_workflow_tried_with_act_is_the_machine_of_whoever_tries_it(system: Make) -> None:
    env = {"ACT": "true", "CI": "true", "GITHUB_RUN_ID": "1", "GITHUB_REPOSITORY": "a/b", "GITHUB_JOB": "test"}
    assert find_machine(system({"etc/machine-id": "1" * 32}, env=env)).deployment == "desktop"


UID = "6f1c3a52-0a3e-4d53-9d0c-3f7f5a1f9b10"
OTHER = "11111111-2222-4333-8444-555555555555"
POD = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "HOSTNAME": "studio-0"}


def hosts_of(uid: str, base: str = "/var/lib/kubelet") -> str:
    return f"701 690 8:1 {base}/pods/{uid}/etc-hosts /etc/hosts rw,relatime - ext4 /dev/sda1 rw\n"


PODS: dict[str, dict[str, str]] = {
    "the file of hosts": {"proc/self/mountinfo": hosts_of(UID)},
    "another directory of the kubelet": {"proc/self/mountinfo": hosts_of(UID, "/var/snap/microk8s/common/kubelet")},
    "the log of its end": {
        "proc/self/mountinfo": f"7 6 8:1 /kubelet/pods/{UID}/containers/app/1f2e /dev/termination-log rw - xfs /d rw\n"
    },
    "cgroups v1": {"proc/self/cgroup": f"4:cpu:/kubepods/burstable/pod{UID}/{CONTAINER}\n"},
    "cgroups of systemd": {
        "proc/self/cgroup": "4:cpu:/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod"
        f"{UID.replace('-', '_')}.slice/cri-containerd-{CONTAINER}.scope\n"
    },
    "a container that sees the mounts of its node": {
        "proc/self/mountinfo": f"5 4 8:1 /pods/{OTHER}/etc-hosts /host/var/lib/kubelet/pods/{OTHER}/etc-hosts rw\n"
        f"6 4 0:5 / /host/var/lib/kubelet/pods/{OTHER}/volumes/kubernetes.io~secret/x rw - tmpfs tmpfs rw\n"
        + hosts_of(UID)
    },
}


@pytest.mark.parametrize("name", PODS)
def test_a_pod_is_known_by_its_uid(system: Make, name: str) -> None:
    files = {"etc/machine-id": "0" * 32, **PODS[name]}
    assert find_machine(system(files, env=POD)).id == f"pod:{UID}"
    # Also where a program clears its environment.
    assert find_machine(system(files)).id == f"pod:{UID}"


def test_pods_of_one_name_are_told_apart_by_namespace_and_cluster_where_no_uid_shows(system: Make) -> None:
    account = "var/run/secrets/kubernetes.io/serviceaccount"
    ids = {
        find_machine(system({f"{account}/namespace": namespace, f"{account}/ca.crt": authority}, env=POD)).id
        for namespace in ("a", "b")
        for authority in ("one", "two")
    }
    assert len(ids) == 4


def test_a_node_of_kubernetes_is_no_pod(system: Make) -> None:
    mounts = f"5 4 0:5 / /var/lib/kubelet/pods/{UID}/volumes/kubernetes.io~secret/x rw - tmpfs tmpfs rw\n"
    machine = find_machine(system({"etc/machine-id": "1" * 32, "proc/self/mountinfo": mounts}))
    assert machine == MachineIdentity("os:" + "1" * 32, "machine-id", "desktop", None)


def test_containers_of_an_engine_in_a_pod_or_in_a_container_are_machines_of_their_own(system: Make) -> None:
    inner = ("4a" * 32, "4b" * 32)
    volume = f"/var/lib/kubelet/pods/{UID}/volumes/kubernetes.io~empty-dir/docker/containers"
    for form in (
        {"proc/self/mountinfo": f"7 6 8:1 {volume}/%s/hosts /etc/hosts rw - ext4 /dev/sda1 rw\n"},
        {"proc/self/cgroup": f"4:cpu:/kubepods/burstable/pod{UID}/{CONTAINER}/docker/%s\n"},
        {"proc/self/cgroup": f"4:cpu:/docker/{CONTAINER}/docker/%s\n"},
    ):
        ids = {
            find_machine(system({".dockerenv": "", **{path: text % id_ for path, text in form.items()}})).id
            for id_ in inner
        }
        assert len(ids) == 2, form
        for path in form:
            (system().root / path).unlink()


ENGINES: dict[str, str] = {
    "docker": "/var/lib/docker/containers/%s/resolv.conf /etc/resolv.conf",
    "docker on a disk of its own": "/containers/%s/hostname /etc/hostname",
    "podman": "/var/lib/containers/storage/overlay-containers/%s/userdata/hosts /etc/hosts",
    "podman without root": "/containers/overlay-containers/%s/userdata/.containerenv /run/.containerenv",
    "nerdctl": "/var/lib/nerdctl/1935db59/containers/default/%s/hostname /etc/hostname",
    "containerd of a kubelet": "/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/%s/hostname /etc/hostname",
}


@pytest.mark.parametrize("name", ENGINES)
def test_a_container_under_cgroups_v2_is_the_same_after_the_machine_starts_again(system: Make, name: str) -> None:
    mounts = f"701 690 0:25 {ENGINES[name] % CONTAINER} rw - tmpfs tmpfs rw\n"
    files = {"run/.containerenv": "", "proc/self/cgroup": "0::/\n", "proc/self/mountinfo": mounts}
    ids = {find_machine(system({**files, "proc/sys/kernel/random/boot_id": boot})).id for boot in ("a", "b")}
    assert ids == {f"mount:{CONTAINER}"}


DESKTOPS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "flatpak": ({".flatpak-info": "[Application]\n"}, {"container": "flatpak", "FLATPAK_ID": "org.example.Studio"}),
    "snap": ({"run/snapd.socket": ""}, {"SNAP": "/snap/studio/1", "SNAP_NAME": "studio"}),
    "wsl": ({"proc/sys/kernel/osrelease": "5.15-microsoft-standard-WSL2"}, {"WSL_DISTRO_NAME": "Ubuntu"}),
    "wsl with systemd": ({"run/systemd/container": "wsl"}, {"container": "wsl"}),
    "lxc, in a shell of lxc-attach": ({"run/systemd/container": "lxc"}, {"container": "lxc"}),
    "lxc, in a service": ({"run/systemd/container": "lxc"}, {}),
    "systemd-nspawn": ({"run/systemd/container": "systemd-nspawn"}, {"container": "systemd-nspawn"}),
}


@pytest.mark.parametrize("name", DESKTOPS)
def test_a_desktop_with_another_face_and_a_system_that_stays_are_known_by_their_machine_id(
    system: Make, name: str
) -> None:
    files, env = DESKTOPS[name]
    machine = find_machine(system({"etc/machine-id": "1" * 32, **files}, env=env))
    assert machine == MachineIdentity("os:" + "1" * 32, "machine-id", "desktop", None)
    # And whatever they lack, a start of the machine changes nothing.
    (system().root / "etc/machine-id").unlink()
    ids = {find_machine(system({"proc/sys/kernel/random/boot_id": boot}, env=env)).id for boot in ("a", "b")}
    assert len(ids) == 1


@pytest.mark.parametrize("made", ["toolbx", "distrobox"])
def test_a_container_to_work_in_is_the_machine_it_is_on(system: Make, made: str) -> None:
    files = {"etc/machine-id": "2" * 32, "run/host/etc/machine-id": "1" * 32, "run/.containerenv": ""}
    files["proc/self/cgroup"] = f"0::/user.slice/user-1000.slice/libpod-{CONTAINER}.scope/container\n"
    env = {"container": "oci"} if made == "toolbx" else {"DISTROBOX_ENTER_PATH": "/usr/bin/distrobox-enter"}
    machine = find_machine(system({**files, **({"run/.toolboxenv": ""} if made == "toolbx" else {})}, env=env))
    assert machine == MachineIdentity("os:" + "1" * 32, "machine-id", "desktop", None)
