-- What is sent in a delivery: the payload of its event. No row: the organization has no such delivery, or the event is
-- not kept any more.
create function read_event_of_delivery(p_tenant uuid, p_webhook uuid, p_event uuid) returns table (payload jsonb)
language plpgsql stable security definer set search_path = public, pg_temp as $$
begin
  if p_tenant is null or p_webhook is null or p_event is null then
    raise exception 'a delivery has an organization, a webhook and an event' using errcode = '22023';
  end if;
  perform set_config('app.tenant_id', p_tenant::text, true);
  return query
    select o.payload from outbox o
    where o.tenant_id = p_tenant and o.id = p_event
      and (o.published_at is null
        or o.published_at between began_at(p_event) - interval '1 day' and now() + interval '1 day')
      and exists (select from webhook_deliveries d
        where d.tenant_id = p_tenant and d.webhook_id = p_webhook and d.event_id = p_event and d.at = o.created_at);
end $$;
revoke execute on function read_event_of_delivery from public;
grant execute on function read_event_of_delivery to admin;
