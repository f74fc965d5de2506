-- A new secret for a license; the old ones stay valid until p_old_until (now: at once). No row: no such license.
create function rotate_license_key(p_tenant uuid, p_license uuid, p_key_hmac text, p_old_until timestamptz)
returns table (pool_id uuid, name text, number text, epoch_before bigint)
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  perform set_config('app.tenant_id', p_tenant::text, true);
  perform lock_pools(p_tenant, p_license);
  -- The same rotation again, its answer was lost: the epoch below the present one was proved old by it.
  if exists (select from license_keys k
    where k.tenant_id = p_tenant and k.license_id = p_license and k.key_hmac = p_key_hmac) then
    return query
      select p.pool_id, p.name, l.number, p.epoch - 1
      from pools p join licenses l on l.tenant_id = p.tenant_id and l.license_id = p.license_id
      where p.tenant_id = p_tenant and p.license_id = p_license;
    return;
  end if;
  if not exists (select from licenses l where l.tenant_id = p_tenant and l.license_id = p_license) then return; end if;
  update license_keys k set valid_until = least(coalesce(k.valid_until, p_old_until), p_old_until)
  where k.tenant_id = p_tenant and k.license_id = p_license;
  insert into license_keys (tenant_id, license_id, key_hmac) values (p_tenant, p_license, p_key_hmac);
  insert into outbox (tenant_id, kind, payload)
  values (p_tenant, 'license.key_rotated', jsonb_build_object('license_id', p_license, 'old_until', p_old_until));
  return query
    update pools p set epoch = p.epoch + 1, changed_at = now()
    from licenses l
    where p.tenant_id = p_tenant and p.license_id = p_license and l.tenant_id = p_tenant and l.license_id = p_license
    returning p.pool_id, p.name, l.number, p.epoch - 1;
end $$;
revoke execute on function rotate_license_key from public;
grant execute on function rotate_license_key to admin;
