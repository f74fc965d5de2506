-- What tokens and answers say about a license, in the form `license_core::domain::license::Facts` reads.
create function license_facts(license licenses, p_seats_total int) returns jsonb language sql stable as $$
  select jsonb_build_object(
    'tenant', license.tenant_id, 'number', license.number, 'product', license.product, 'tier', license.tier,
    'seats_total', p_seats_total, 'features', license.features,
    'expires_at', to_char(license.expires_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
    'offline', jsonb_build_object('policy', license.offline_policy, 'grace_hours', license.grace_hours,
      'after_heartbeats', license.grace_after_heartbeats),
    'facts_version', license.facts_version, 'hide_holders', license.hide_holders)
$$;
revoke execute on function license_facts from public;
