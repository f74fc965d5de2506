-- Whatever pauses a webhook, or does something about one that is paused, has the rules about that judged.
create function wake_rules_of_webhook() returns trigger language plpgsql security definer
set search_path = public, pg_temp as $$
begin
  perform wake_alert_rules(new.tenant_id, array['webhook_paused'], null, null);
  return new;
end $$;
revoke execute on function wake_rules_of_webhook from public;

create trigger wake_rules after update of paused_at, disabled_at, deleted_at on webhooks for each row
  when (old.paused_at is not null or new.paused_at is not null) execute function wake_rules_of_webhook();
