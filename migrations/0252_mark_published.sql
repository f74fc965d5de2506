-- Marks events published that the transaction holds: those it took to publish, for nobody else's can be marked, nor one
-- at another time than now. A row that a transaction locked says so in xmax. Answers how many there were. One by one
-- and by key, each with its tenant set. Where the organization has a webhook, their deliveries are written with them,
-- so that none is lost with a push.
create function mark_published(p_tenants uuid[], p_ids uuid[]) returns int
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  event record; told record; tenant uuid; has_webhook boolean; marked int := 0;
begin
  for event in select * from unnest(p_tenants, p_ids) as t (tenant_id, id) order by t.tenant_id, t.id loop
    if event.tenant_id is distinct from tenant then
      tenant := event.tenant_id;
      perform set_config('app.tenant_id', tenant::text, true);
      has_webhook := exists (select from webhooks w where w.tenant_id = tenant
        and w.disabled_at is null and w.paused_at is null and w.deleted_at is null);
    end if;
    update outbox o set published_at = now()
    where o.tenant_id = event.tenant_id and o.id = event.id and o.published_at is null
      and o.xmax = pg_current_xact_id()::xid
    returning o.created_at, o.kind, case when o.kind = 'webhook.test' then o.payload end as payload into told;
    if found then
      marked := marked + 1;
      if has_webhook then
        perform write_deliveries(tenant, event.id, told.created_at, told.kind, told.payload);
      end if;
    end if;
  end loop;
  return marked;
end $$;
revoke execute on function mark_published from public;
grant execute on function mark_published to reaper;
