# The services of dev: small, without a load balancer, and asleep while nobody asks. Each function is reached at its
# address at run.app (output `urls`). Name a domain in `front` to try clients, which know one address for everything.

front     = null
pool_size = 2

sizes = {
  acquire   = { max = 2 }
  heartbeat = { max = 2 }
  release   = { max = 1 }
  register  = { max = 1 }
  admin     = { max = 1 }
  reaper    = { max = 1 }
  notify    = { max = 1, pool = 1 }
}

settings = {
  LOG_LEVEL = "info"
}
