-- Writes an event about a change that a person made, besides those that the functions on licenses and seats write
-- themselves. Answers its id.
create function write_event(p_tenant uuid, p_kind text, p_payload jsonb) returns uuid
language plpgsql security definer set search_path = public, pg_temp as $$
declare event uuid;
begin
  if p_kind is null
    or p_kind <> all (array['person.joined', 'invitation.created', 'invitation.revoked', 'webhook.test']) then
    raise exception 'changes of people write no event of the kind %', p_kind
      using errcode = '22023', hint = 'A new kind is named in migrations/0250_write_event.sql and in docs/API.md.';
  end if;
  if octet_length(p_payload::text) > 65536 then
    raise exception 'an event has at most 64 KiB' using errcode = '22023';
  end if;
  perform set_config('app.tenant_id', p_tenant::text, true);
  insert into outbox (tenant_id, kind, payload) values (p_tenant, p_kind, p_payload) returning id into event;
  return event;
end $$;
revoke execute on function write_event from public;
grant execute on function write_event to admin;
