-- Gives a license the terms in p_terms: columns of licenses, and `seats` of its default pool; what is not named stays
-- as it is. external_id, metadata, name, name_key and note may stand there too. Growing is at once, shrinking drains. p_changed is what the
-- event tells. Answers as suspend_license does; no row: no such license.
create function change_license(p_tenant uuid, p_license uuid, p_terms jsonb, p_changed jsonb)
returns table (pool_id uuid, name text, number text, epoch_before bigint)
language plpgsql security definer set search_path = public, pg_temp as $$
declare license licenses; terms licenses; resized uuid;
begin
  perform set_config('app.tenant_id', p_tenant::text, true);
  perform lock_pools(p_tenant, p_license);
  select * into license from licenses l where l.tenant_id = p_tenant and l.license_id = p_license for update;
  if not found then return; end if;
  terms := jsonb_populate_record(license, p_terms);
  select p.pool_id into resized from pools p
  where p.tenant_id = p_tenant and p.license_id = p_license and p.name = 'default'
    and p.seats_total <> (p_terms->>'seats')::int;
  if resized is not null then
    -- It raises the versions and its pool's epoch by itself.
    perform resize_pool(p_tenant, resized, (p_terms->>'seats')::int);
  end if;
  update licenses l
  set plan = terms.plan, tier = terms.tier, not_before = terms.not_before, expires_at = terms.expires_at,
      features = terms.features, offline_policy = terms.offline_policy, grace_hours = terms.grace_hours,
      grace_after_heartbeats = terms.grace_after_heartbeats, grace_beyond_seats = terms.grace_beyond_seats,
      holder_by = terms.holder_by, processes_per_seat = terms.processes_per_seat, hide_holders = terms.hide_holders,
      external_id = terms.external_id, metadata = terms.metadata,
      name = terms.name, name_key = terms.name_key, note = terms.note,
      facts_version = license.facts_version + 1, version = license.version + 1
  where l.tenant_id = p_tenant and l.license_id = p_license;
  insert into outbox (tenant_id, kind, payload)
  values (p_tenant, 'license.changed', jsonb_build_object('license_id', p_license, 'external_id', terms.external_id,
    'changed', p_changed));
  return query
    update pools p set epoch = p.epoch + 1, changed_at = now()
    where p.tenant_id = p_tenant and p.license_id = p_license
    returning p.pool_id, p.name, license.number, p.epoch - case when p.pool_id = resized then 2 else 1 end;
end $$;
revoke execute on function change_license from public;
grant execute on function change_license to admin;

-- Gives a license the external_id, metadata, name and note in p_labels, and nothing else of it; what is not named stays
-- as it is. No token says them, so that no client hears of it and no copy of a pool is stale. False: no such license.
create function label_license(p_tenant uuid, p_license uuid, p_labels jsonb, p_changed jsonb)
returns boolean language plpgsql security definer set search_path = public, pg_temp as $$
declare license licenses; labels licenses;
begin
  perform set_config('app.tenant_id', p_tenant::text, true);
  select * into license from licenses l where l.tenant_id = p_tenant and l.license_id = p_license for update;
  if not found then return false; end if;
  labels := jsonb_populate_record(license, p_labels);
  update licenses l
  set external_id = labels.external_id, metadata = labels.metadata, name = labels.name, name_key = labels.name_key,
      note = labels.note, version = license.version + 1
  where l.tenant_id = p_tenant and l.license_id = p_license;
  insert into outbox (tenant_id, kind, payload)
  values (p_tenant, 'license.changed', jsonb_build_object('license_id', p_license, 'external_id', labels.external_id,
    'changed', p_changed));
  return true;
end $$;
revoke execute on function label_license from public;
grant execute on function label_license to admin;
