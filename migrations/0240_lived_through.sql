-- How long a seat must be held to have lived through so many heartbeats: a quarter of the lease for each
-- (core/src/domain/lease.rs).
create function lived_through(p_lease_ms bigint, p_heartbeats int) returns interval
language sql immutable parallel safe as $$
  select make_interval(secs => p_lease_ms / 4 * p_heartbeats / 1000.0)
$$;
revoke execute on function lived_through from public;
grant execute on function lived_through to admin;
