-- Whether an event is for a webhook that asks for these kinds (null: every kind). Minutes of use are many and only sent
-- to who names them; a test is for the webhook that is tested alone.
create function webhook_wants(p_webhook uuid, p_kinds text[], p_kind text, p_payload jsonb) returns boolean
language sql immutable parallel safe as $$
  select coalesce(case p_kind
    when 'webhook.test' then p_payload->>'webhook_id' = p_webhook::text
    when 'usage' then p_kind = any (p_kinds)
    else p_kinds is null or p_kind = any (p_kinds) end, false)
$$;
revoke execute on function webhook_wants from public;

-- Writes a delivery, due at once, for each active webhook that wants this event, and answers how many were new. In the
-- order of their ids: two who enqueue one event wait for each other and never in a circle. The tenant is set before;
-- p_payload may be null but of a test.
create function write_deliveries(p_tenant uuid, p_event uuid, p_at timestamptz, p_kind text, p_payload jsonb)
returns int language plpgsql set search_path = public, pg_temp as $$
declare written int;
begin
  insert into webhook_deliveries (tenant_id, webhook_id, event_id, at, kind, state, next_at)
  select p_tenant, w.webhook_id, p_event, p_at, p_kind, 'waiting', now() from webhooks w
  where w.tenant_id = p_tenant and w.disabled_at is null and w.paused_at is null and w.deleted_at is null
    and webhook_wants(w.webhook_id, w.kinds, p_kind, p_payload)
  order by w.tenant_id, w.webhook_id
  on conflict do nothing;
  get diagnostics written = row_count;
  return written;
end $$;
revoke execute on function write_deliveries from public;

-- Enqueues an event that was pushed: the event in the outbox counts, and what the message says of it must be so. 0:
-- there is no such event, nobody wants it, or it was enqueued before. Null: the organization has no active webhook.
create function enqueue_deliveries(p_tenant uuid, p_event uuid, p_at timestamptz, p_kind text) returns int
language plpgsql security definer set search_path = public, pg_temp as $$
declare told jsonb;
begin
  if p_tenant is null or p_event is null or p_at is null or p_kind is null then
    raise exception 'an event has an organization, an id, a time and a kind' using errcode = '22023';
  end if;
  perform set_config('app.tenant_id', p_tenant::text, true);
  if not exists (select from webhooks w where w.tenant_id = p_tenant
    and w.disabled_at is null and w.paused_at is null and w.deleted_at is null)
  then
    return null;
  end if;
  -- The times name the months it can be in; by the clock of who published it, which may be a little behind.
  select o.payload into told from outbox o
  where o.tenant_id = p_tenant and o.id = p_event and o.created_at = p_at and o.kind = p_kind
    and (o.published_at is null
      or o.published_at between p_at - interval '1 day' and now() + interval '1 day');
  if not found then return 0; end if;
  return write_deliveries(p_tenant, p_event, p_at, p_kind, told);
end $$;
revoke execute on function enqueue_deliveries from public;
grant execute on function enqueue_deliveries to notify;
