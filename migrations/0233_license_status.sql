-- Gives every pool of a license its status and a new epoch. Nobody but the three below calls it: they say what leads
-- where.
create function set_license_status(p_tenant uuid, p_license uuid, p_status text, p_from text[])
returns table (pool_id uuid, name text, number text, epoch_before bigint) language plpgsql as $$
begin
  perform set_config('app.tenant_id', p_tenant::text, true);
  perform lock_pools(p_tenant, p_license);
  update licenses l set status = p_status, status_since = now(), facts_version = l.facts_version + 1,
    version = l.version + 1
  where l.tenant_id = p_tenant and l.license_id = p_license and l.status = any (p_from);
  if not found then return; end if;
  insert into outbox (tenant_id, kind, payload)
  values (p_tenant, 'license.' || p_status, jsonb_build_object('license_id', p_license));
  return query
    update pools p set status = p_status, epoch = p.epoch + 1, changed_at = now()
    from licenses l
    where p.tenant_id = p_tenant and p.license_id = p_license and l.tenant_id = p_tenant and l.license_id = p_license
    returning p.pool_id, p.name, l.number, p.epoch - 1;
end $$;
revoke execute on function set_license_status from public;

-- Stops an active license: no seat of it is granted until it is resumed.
create function suspend_license(p_tenant uuid, p_license uuid)
returns table (pool_id uuid, name text, number text, epoch_before bigint)
language sql security definer set search_path = public, pg_temp as $$
  select * from set_license_status(p_tenant, p_license, 'suspended', array['active'])
$$;
revoke execute on function suspend_license from public;
grant execute on function suspend_license to admin;

-- Makes a suspended license active again.
create function resume_license(p_tenant uuid, p_license uuid)
returns table (pool_id uuid, name text, number text, epoch_before bigint)
language sql security definer set search_path = public, pg_temp as $$
  select * from set_license_status(p_tenant, p_license, 'active', array['suspended'])
$$;
revoke execute on function resume_license from public;
grant execute on function resume_license to admin;

-- Ends a license for good: nothing leads back.
create function revoke_license(p_tenant uuid, p_license uuid)
returns table (pool_id uuid, name text, number text, epoch_before bigint)
language sql security definer set search_path = public, pg_temp as $$
  select * from set_license_status(p_tenant, p_license, 'revoked', array['active', 'suspended'])
$$;
revoke execute on function revoke_license from public;
grant execute on function revoke_license to admin;
