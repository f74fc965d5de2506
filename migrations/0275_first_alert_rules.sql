-- The rules that a new organization begins with: its owners and admins hear of a license that ends and of a webhook
-- that is paused. A week before, since a trial lasts two: whoever has just got one need not be told that it ends. They
-- may change or delete both as any other. The tenant is set before.
create function make_first_alert_rules(p_tenant uuid) returns void
language sql set search_path = public, pg_temp as $$
  insert into alert_rules (tenant_id, rule_id, kind, days, mail_roles, created_by) values
    (p_tenant, uuid_v7(), 'license_ends', 7, array['owner', 'admin'], 'registration'),
    (p_tenant, uuid_v7(), 'webhook_paused', null, array['owner', 'admin'], 'registration')
$$;
revoke execute on function make_first_alert_rules from public;
