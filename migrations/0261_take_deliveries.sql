-- Takes deliveries that are due for a try each, of one webhook or of one event, those that are due for longest first.
-- Each counts a try, and is due again after p_hold_seconds unless finish_delivery is told of this try before: if
-- whoever took it dies, another tries again. What another one is taking just now is passed over. A delivery whose
-- webhook is not active, or whose event is not kept any more, is skipped and not answered; of a webhook that is not
-- active up to 1,000 at once. previous_secret: null once its time is over.
create function take_deliveries(p_tenant uuid, p_webhook uuid, p_event uuid, p_limit int, p_hold_seconds int)
returns table (webhook_id uuid, event_id uuid, at timestamptz, tries int, url text, secret text, previous_secret text,
  kind text, payload jsonb, created_at timestamptz)
language plpgsql security definer set search_path = public, pg_temp
-- The order can be read from one index alone. Without statistics all that waits of a webhook looks like a few rows, and
-- to read and sort them would look as good.
set enable_sort = off as $$
declare
  webhook webhooks; is_active boolean := true; event_at timestamptz; place int;
  receivers uuid[] := '{}'; events uuid[] := '{}'; times timestamptz[] := '{}';
  -- Between these lies every month that is kept, and no month that has not come.
  earliest constant timestamptz := now() - interval '90 days';
  latest constant timestamptz := now() + interval '1 day';
begin
  if p_tenant is null or (p_webhook is null) = (p_event is null) then
    raise exception 'deliveries are taken of one webhook, or of one event' using errcode = '22023';
  end if;
  if (p_limit between 1 and 50 and p_hold_seconds between 10 and 600) is not true then
    raise exception 'nobody takes % deliveries for % s', p_limit, p_hold_seconds using errcode = '22023';
  end if;
  perform set_config('app.tenant_id', p_tenant::text, true);

  if p_webhook is not null then
    select * into webhook from webhooks w where w.tenant_id = p_tenant and w.webhook_id = p_webhook;
    is_active := found and webhook.disabled_at is null and webhook.paused_at is null and webhook.deleted_at is null;
    select coalesce(array_agg(l.event_id order by l.next_at), '{}'), coalesce(array_agg(l.at order by l.next_at), '{}')
    into events, times
    from (select d.event_id, d.at, d.next_at from webhook_deliveries d
      where d.tenant_id = p_tenant and d.webhook_id = p_webhook and d.state = 'waiting' and d.next_at <= now()
        and d.at between earliest and latest
      order by d.webhook_id, d.next_at limit case when is_active then p_limit else 1000 end
      for update skip locked) l;
    receivers := array_fill(p_webhook, array[cardinality(events)]);
  else
    select o.created_at into event_at from outbox o
    where o.tenant_id = p_tenant and o.id = p_event
      and (o.published_at is null or o.published_at between began_at(p_event) - interval '1 day' and latest);
    if not found then return; end if;
    for webhook in
      select * from webhooks w
      where w.tenant_id = p_tenant and w.disabled_at is null and w.paused_at is null and w.deleted_at is null
      order by w.tenant_id, w.webhook_id
    loop
      perform from webhook_deliveries d
      where d.tenant_id = p_tenant and d.webhook_id = webhook.webhook_id and d.event_id = p_event and d.at = event_at
        and d.next_at <= now()
      for update skip locked;
      if found then
        receivers := receivers || webhook.webhook_id;
        events := events || p_event;
        times := times || event_at;
      end if;
      exit when cardinality(events) = p_limit;
    end loop;
  end if;

  -- One after the other, each by its key: a join may read the whole table.
  for place in 1 .. cardinality(events) loop
    webhook_id := receivers[place];
    event_id := events[place];
    at := times[place];
    if is_active then
      if webhook.webhook_id is distinct from webhook_id then
        select * into webhook from webhooks w where w.tenant_id = p_tenant and w.webhook_id = receivers[place];
      end if;
      select o.payload, o.created_at into payload, created_at from outbox o
      where o.tenant_id = p_tenant and o.id = events[place]
        and (o.published_at is null or o.published_at between times[place] - interval '1 day' and latest);
    end if;
    if not is_active or not found then
      update webhook_deliveries d set state = 'skipped', next_at = null, finished_at = now()
      where d.tenant_id = p_tenant and d.webhook_id = receivers[place] and d.event_id = events[place]
        and d.at = times[place];
      continue;
    end if;
    update webhook_deliveries d set tries = d.tries + 1, next_at = now() + make_interval(secs => p_hold_seconds)
    where d.tenant_id = p_tenant and d.webhook_id = receivers[place] and d.event_id = events[place]
      and d.at = times[place]
    returning d.tries, d.kind into tries, kind;
    url := webhook.url;
    secret := webhook.secret;
    previous_secret := case when webhook.previous_until > now() then webhook.previous_secret end;
    return next;
  end loop;
end $$;
revoke execute on function take_deliveries from public;
grant execute on function take_deliveries to notify;
