-- Has events delivered to a webhook again: those that were written from p_from until before p_until, or the one
-- p_event, of the last 30 days, as far as the webhook wants them. What is over waits again, due at once, with its tries
-- counted anew, and so does what waits for a later try; what it never had is enqueued; what is due or being tried is
-- left alone. What is not published yet comes anyway. p_only_failed: not what was delivered. Looks
-- through 5,000 events a call and has 1,000 of them delivered at most; `after` is where it ended, to be told as p_after
-- the next time, and null at the end. 0 for a webhook that is not active, since nothing is sent there.
create function replay_deliveries(p_tenant uuid, p_webhook uuid, p_from timestamptz, p_until timestamptz, p_event uuid,
  p_only_failed boolean, p_after uuid, out replayed int, out after uuid)
language plpgsql security definer set search_path = public, pg_temp
-- As of take_deliveries.
set enable_sort = off as $$
declare
  webhook webhooks; event record; first_id uuid; last_id uuid; looked int := 0; is_new int;
  earliest constant timestamptz := greatest(p_from, now() - interval '30 days');
  latest constant timestamptz := now() + interval '1 day';
begin
  if p_tenant is null or p_webhook is null or p_only_failed is null
    or (p_event is null) <> coalesce(p_from < p_until, false) or (p_event is not null and p_after is not null) then
    raise exception 'deliveries are replayed of a span of time, or of one event' using errcode = '22023';
  end if;
  perform set_config('app.tenant_id', p_tenant::text, true);
  replayed := 0;
  select * into webhook from webhooks w where w.tenant_id = p_tenant and w.webhook_id = p_webhook
    and w.disabled_at is null and w.paused_at is null and w.deleted_at is null;
  if not found then return; end if;
  -- An id is drawn after its transaction began, which is the event's time, and not much later.
  first_id := coalesce(p_event, p_after, history.first_id(earliest));
  last_id := coalesce(p_event, history.first_id(least(p_until, latest) + interval '1 minute'));
  for event in
    select o.id, o.created_at, o.kind, case when o.kind = 'webhook.test' then o.payload end as payload from outbox o
    where o.tenant_id = p_tenant and o.id >= first_id and o.id <= last_id
      -- What waits to be published gets its delivery then; whoever publishes must not wait for this one.
      and o.published_at between earliest - interval '1 day' and latest
    order by o.tenant_id, o.id limit 5001
  loop
    continue when event.id = p_after;
    looked := looked + 1;
    after := event.id;
    if event.created_at >= earliest and coalesce(event.created_at < p_until, true)
      and webhook_wants(p_webhook, webhook.kinds, event.kind, event.payload)
    then
      update webhook_deliveries d set state = 'waiting', tries = 0, next_at = now(), finished_at = null
      where d.tenant_id = p_tenant and d.webhook_id = p_webhook and d.event_id = event.id and d.at = event.created_at
        -- Of those that wait only those that nobody is trying (Records::HOLD) and that are not due anyway.
        and (d.state <> 'waiting' or d.next_at > now() + interval '60 seconds')
        and not (p_only_failed and d.state = 'delivered');
      if not found then
        insert into webhook_deliveries (tenant_id, webhook_id, event_id, at, kind, state, next_at)
        values (p_tenant, p_webhook, event.id, event.created_at, event.kind, 'waiting', now())
        on conflict do nothing;
      end if;
      get diagnostics is_new = row_count;
      replayed := replayed + is_new;
    end if;
    if replayed = 1000 or looked = 5000 then return; end if;
  end loop;
  after := null;
end $$;
revoke execute on function replay_deliveries from public;
grant execute on function replay_deliveries to admin;
