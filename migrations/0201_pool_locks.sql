-- The lock of a pool, taken before anything is decided about its seats: shared by what writes a ticket down, alone by
-- what raises the epoch. A row's lock would not do: who wants it alone waits while others share it anew behind its
-- back, without an end where there are many.
create function pool_lock(p_pool uuid) returns bigint language sql immutable parallel safe as $$
  select uuid_hash_extended(p_pool, 0)
$$;
revoke execute on function pool_lock from public;

-- The locks of all pools of a license, in the order in which everybody takes them.
create function lock_pools(p_tenant uuid, p_license uuid) returns void language plpgsql as $$
declare pool uuid;
begin
  for pool in
    select p.pool_id from pools p where p.tenant_id = p_tenant and p.license_id = p_license order by p.pool_id
  loop
    perform pg_advisory_xact_lock(pool_lock(pool));
  end loop;
end $$;
revoke execute on function lock_pools from public;

-- The same, and the license's row behind them: for a change that is asked for by what the license is before it.
create function lock_license(p_tenant uuid, p_license uuid) returns void
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  perform set_config('app.tenant_id', p_tenant::text, true);
  perform lock_pools(p_tenant, p_license);
  perform 1 from licenses l where l.tenant_id = p_tenant and l.license_id = p_license for update;
end $$;
revoke execute on function lock_license from public;
grant execute on function lock_license to admin;
