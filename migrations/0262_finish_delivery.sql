-- Writes down what came of a try, and answers what became of the delivery. Null: it is not at this try any more,
-- because it was held for too long and taken again, or replayed; nothing is written then. 'delivered' ends it; 'gone'
-- ends it and disables the webhook; another outcome has it tried again in p_next_seconds, or ends it (null: that was
-- the last try). A webhook that has failed for five days without a success is paused. p_url is where it was sent to:
-- what an address answered that was replaced meanwhile says nothing about the webhook, and the next try is at the new
-- one. Locks the delivery's row and then the webhook's.
create function finish_delivery(p_tenant uuid, p_webhook uuid, p_event uuid, p_at timestamptz, p_tries int, p_url text,
  p_outcome text, p_status int, p_answer text, p_ms int, p_next_seconds int) returns text
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  -- Of the address only this is told to others: its path is often a secret.
  became text; webhook webhooks; host text; is_current boolean;
begin
  if (p_tenant is not null and p_webhook is not null and p_event is not null and p_at is not null and p_tries >= 1
      and p_url is not null and p_outcome ~ '^[a-z_]{1,40}$' and p_ms between 0 and 86400000
      and coalesce(p_status between 100 and 999, true)
      and coalesce(p_next_seconds between 1 and 259200, true)) is not true then
    raise exception 'no try ends like this: % % % ms, next in %', p_outcome, p_status, p_ms, p_next_seconds
      using errcode = '22023';
  end if;
  perform set_config('app.tenant_id', p_tenant::text, true);
  select coalesce(w.url = p_url, false) into is_current from webhooks w
  where w.tenant_id = p_tenant and w.webhook_id = p_webhook;
  became := case when p_outcome = 'delivered' then 'delivered'
    when p_outcome = 'gone' and is_current or p_next_seconds is null then 'failed' else 'waiting' end;
  update webhook_deliveries d
  set state = became,
      next_at = case when became = 'waiting' then now() + make_interval(secs => p_next_seconds) end,
      finished_at = case when became <> 'waiting' then now() end,
      attempts = case when jsonb_array_length(d.attempts) >= 20 then d.attempts - 0 else d.attempts end
        || jsonb_build_object('at', now(), 'outcome', p_outcome,
          'status', p_status, 'ms', p_ms, 'answer', left(p_answer, 1000))
  where d.tenant_id = p_tenant and d.webhook_id = p_webhook and d.event_id = p_event and d.at = p_at
    and d.next_at is not null and d.tries = p_tries;
  if not found then return null; end if;

  -- What the server itself lacked is no failure of the receiver.
  if p_outcome in ('no_client', 'secret_unreadable') then return became; end if;
  -- The webhook's row is written when something changes, and not with every try. At each write it is asked again where
  -- it is: somebody may have edited it just now.
  if became = 'delivered' then
    update webhooks w set failing_since = null
    where w.tenant_id = p_tenant and w.webhook_id = p_webhook and w.failing_since is not null and w.url = p_url;
    return became;
  end if;
  update webhooks w set failing_since = now()
  where w.tenant_id = p_tenant and w.webhook_id = p_webhook and w.failing_since is null and w.url = p_url;
  if p_outcome = 'gone' then
    update webhooks w set disabled_at = now(), version = w.version + 1
    where w.tenant_id = p_tenant and w.webhook_id = p_webhook and w.disabled_at is null and w.deleted_at is null
      and w.url = p_url
    returning * into webhook;
    if found then
      host := substring(webhook.url from '^https?://([^/?#]*)');
      insert into outbox (tenant_id, kind, payload) values (p_tenant, 'webhook.disabled',
        jsonb_build_object('webhook_id', p_webhook, 'host', host));
    end if;
  else
    update webhooks w set paused_at = now(), version = w.version + 1
    where w.tenant_id = p_tenant and w.webhook_id = p_webhook and w.failing_since <= now() - interval '5 days'
      and w.disabled_at is null and w.paused_at is null and w.deleted_at is null and w.url = p_url
    returning * into webhook;
    if found then
      host := substring(webhook.url from '^https?://([^/?#]*)');
      insert into outbox (tenant_id, kind, payload) values (p_tenant, 'webhook.paused',
        jsonb_build_object('webhook_id', p_webhook, 'host', host, 'failing_since', webhook.failing_since));
    end if;
  end if;
  return became;
end $$;
revoke execute on function finish_delivery from public;
grant execute on function finish_delivery to notify;
