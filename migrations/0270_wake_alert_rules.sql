-- Has the rules of these kinds that are for this license (null: whatever license) judged soon, but for those whose
-- percent is more than p_percent (null: whatever they say). In the order of their ids: two who wake the same rules wait
-- for each other and never in a circle, and whoever waits for a judge (milliseconds) has the rule judged once more. It
-- reads nothing but an index where the organization has no rules. The tenant is set before.
create function wake_alert_rules(p_tenant uuid, p_kinds text[], p_license uuid, p_percent int) returns void
language plpgsql set search_path = public, pg_temp as $$
begin
  update alert_rules r set look_at = now()
  where r.tenant_id = p_tenant and r.rule_id = any (array(
    select w.rule_id from alert_rules w
    where w.tenant_id = p_tenant and w.deleted_at is null and w.enabled and w.kind = any (p_kinds)
      and (w.license_id is null or p_license is null or w.license_id = p_license)
      and coalesce(w.percent <= p_percent, true) and coalesce(w.look_at > now(), true)
    order by w.tenant_id, w.rule_id for no key update));
end $$;
revoke execute on function wake_alert_rules from public;

-- Whatever makes a license or changes when it ends has the rules about that judged.
create function wake_rules_of_license() returns trigger language plpgsql security definer
set search_path = public, pg_temp as $$
begin
  perform wake_alert_rules(new.tenant_id, array['license_ends'], new.license_id, null);
  return new;
end $$;
revoke execute on function wake_rules_of_license from public;

create trigger wake_rules_made after insert on licenses for each row
  when (new.expires_at is not null) execute function wake_rules_of_license();
create trigger wake_rules_changed after update of status, expires_at on licenses for each row
  when (old.status <> new.status or old.expires_at is distinct from new.expires_at)
  execute function wake_rules_of_license();
