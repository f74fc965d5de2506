"""Which job begins when: as many side by side as the processors bear, those that take long first.

There are two lanes. In the first are jobs whose tests judge how long something took, or wait for it with a limit: together they may keep three
quarters of the processors busy on average, because all of them need much at once when they make their stores. In the second are those that only
compute: they run at a lower priority and take what the first leave.
"""

from jobs import Job

# Of the processors, for the first lane.
SHARE = 0.75


class Schedule:
    """The jobs that wait and those that run."""

    def __init__(self, jobs: list[Job], cores: int) -> None:
        self.cores = cores
        self.waiting = sorted(jobs, key=lambda job: (job.weight.alone, -job.weight.seconds, job.name))
        self.running: list[Job] = []

    def take(self) -> list[Job]:
        """The jobs that begin now. Whoever takes them says when they have ended."""
        taken = []
        for job in list(self.waiting):
            if self.fits(job):
                self.waiting.remove(job)
                self.running.append(job)
                taken.append(job)
        return taken

    def fits(self, job: Job) -> bool:
        if job.weight.alone or any(other.weight.alone for other in self.running):
            return not self.running
        lane = [other.weight.cores for other in self.running if other.weight.patient == job.weight.patient]
        most = self.cores if job.weight.patient else self.cores * SHARE
        # What wants more than there is has its lane to itself.
        return not lane or sum(lane) + job.weight.cores <= most

    def end(self, job: Job) -> None:
        self.running.remove(job)
