-- Makes a license with its first secret and its default pool of numbered seats, as a plan says but for what p_terms
-- says otherwise: columns of licenses and `seats`. False: the number is taken, draw another.
create function create_license(p_tenant uuid, p_license uuid, p_pool uuid, p_number text,
  p_key_hmac text, p_product text, p_plan text, p_terms jsonb default '{}')
returns boolean language plpgsql security definer set search_path = public, pg_temp as $$
declare plan catalog.plans; terms licenses; total int;
begin
  perform set_config('app.tenant_id', p_tenant::text, true);
  select * into strict plan from catalog.plans c where c.plan = p_plan;
  if not directory.enter_license(p_number, p_tenant, p_license) then return false; end if;
  terms := jsonb_populate_record(null::licenses, to_jsonb(plan) || jsonb_build_object('hide_holders', false,
    'expires_at', date_trunc('second', now()) + make_interval(days => plan.trial_days)) || p_terms);
  total := coalesce((p_terms->>'seats')::int, plan.seats);
  insert into licenses (tenant_id, license_id, number, product, plan, tier, not_before, expires_at,
    features, offline_policy, grace_hours, grace_after_heartbeats, grace_beyond_seats,
    holder_by, processes_per_seat, hide_holders, external_id, metadata)
  values (p_tenant, p_license, p_number, p_product, plan.plan, terms.tier, terms.not_before, terms.expires_at,
    terms.features, terms.offline_policy, terms.grace_hours, terms.grace_after_heartbeats, terms.grace_beyond_seats,
    terms.holder_by, terms.processes_per_seat, terms.hide_holders,
    terms.external_id, coalesce(terms.metadata, '{}'));
  insert into license_keys (tenant_id, license_id, key_hmac) values (p_tenant, p_license, p_key_hmac);
  insert into pools (tenant_id, pool_id, license_id, name, seats_total)
  values (p_tenant, p_pool, p_license, 'default', total);
  insert into seats (tenant_id, pool_id, seat_no)
  select p_tenant, p_pool, seat_no from generate_series(0, total - 1) as seat_no;
  insert into outbox (tenant_id, kind, payload)
  values (p_tenant, 'license.created', jsonb_build_object('license_id', p_license, 'number', p_number, 'plan', p_plan,
    'external_id', terms.external_id));
  return true;
end $$;
revoke execute on function create_license from public;
grant execute on function create_license to admin;
