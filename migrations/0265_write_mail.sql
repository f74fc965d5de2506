-- The id of the mail that is the same for everybody who writes it. Version 8 of RFC 9562: made, not drawn.
create function mail_id(p_tenant uuid, p_recipient uuid, p_key text) returns uuid
language sql immutable parallel safe as $$
  select overlay(overlay(substr(h.digest, 1, 32) placing '8' from 13) placing 'a' from 17)::uuid
  from encode(sha256(convert_to(p_tenant || ' ' || p_recipient || ' ' || p_key, 'UTF8')), 'hex') as h (digest)
$$;
revoke execute on function mail_id from public;

-- Inserts a mail, due at once. False: there is one of this key to this recipient, of the last 30 days at least. Two who
-- write the same wait for each other here, until the first one's transaction is over.
create function insert_mail(p_tenant uuid, p_kind text, p_user uuid, p_invitation uuid, p_key text, p_data jsonb,
  p_sealed text) returns boolean
language plpgsql set search_path = public, pg_temp as $$
declare id constant uuid := mail_id(p_tenant, coalesce(p_user, p_invitation), p_key);
begin
  perform pg_advisory_xact_lock(hashtextextended('mail ' || id, 0));
  if exists (select from mails m where m.tenant_id = p_tenant and m.mail_id = id
    and m.at between now() - interval '90 days' and now() + interval '1 day')
  then
    return false;
  end if;
  insert into mails (tenant_id, mail_id, at, kind, user_id, invitation_id, key, data, sealed, state, next_at)
  values (p_tenant, id, now(), p_kind, p_user, p_invitation, p_key, p_data, p_sealed, 'waiting', now());
  return true;
end $$;
revoke execute on function insert_mail from public;

-- Writes a mail to one of the organization's people, to be sent by the next tick. For functions of the owner, inside
-- their transactions, after they set the tenant; whoever writes several writes them in the order of the people's ids,
-- since two who write the same wait for each other. False: it was written before. Whether the person still belongs,
-- wants such mail and gets too much of it is looked at when it is sent: whoever has something to tell is never refused.
--
-- p_data of 'alert', as core/src/mail/templates/alert.txt shows it, every text of one line and in English:
--   title  what happened, the subject: 'Pool "default" of license ABC is full'
--   lines  the sentences below it (an array, may be empty)
--   ended  true: it is over, which the subject says too ("Back to normal: …")
--   link   where to look, an https URL, or absent
-- p_data of 'report', as core/src/mail/templates/report.txt shows it: title and lines.
create function write_mail(p_tenant uuid, p_kind text, p_user uuid, p_key text, p_data jsonb) returns boolean
language plpgsql set search_path = public, pg_temp as $$
begin
  if (p_tenant is not null and p_user is not null and length(p_key) between 1 and 200 and p_kind <> 'invitation'
      and jsonb_typeof(p_data) = 'object') is not true then
    raise exception 'a mail has an organization, a kind, a person, a key and data' using errcode = '22023';
  end if;
  return insert_mail(p_tenant, p_kind, p_user, null, p_key, p_data, null);
end $$;
revoke execute on function write_mail from public;

-- Writes the mail that invites somebody, with the invitation's secret as the service sealed it. 'written'; 'too_many':
-- of this organization 100 were written within 24 hours, so that nobody has strangers written to at will; 'not_open':
-- there is no such invitation that is open. Once for each invitation: 'written' too where it was before. To which
-- address it goes, and what else it says, is read from the invitation when it is sent.
create function write_invitation_mail(p_tenant uuid, p_invitation uuid, p_sealed text) returns text
language plpgsql security definer set search_path = public, pg_temp as $$
declare recent int; most constant int := 100;
begin
  if (p_tenant is not null and p_invitation is not null and length(p_sealed) between 1 and 1000) is not true then
    raise exception 'a mail to somebody invited has an organization, an invitation and a sealed secret'
      using errcode = '22023';
  end if;
  perform set_config('app.tenant_id', p_tenant::text, true);
  if not exists (select from invitations i where i.tenant_id = p_tenant and i.invitation_id = p_invitation
    and i.accepted_at is null and i.revoked_at is null and i.expires_at > now())
  then
    return 'not_open';
  end if;
  -- One after the other, or several at once would each see one too few.
  perform pg_advisory_xact_lock(hashtextextended('invitation mails of ' || p_tenant, 0));
  select count(*) into recent from (select from mails m
    where m.tenant_id = p_tenant and m.invitation_id is not null and m.at > now() - interval '24 hours' limit most) f;
  if recent = most then return 'too_many'; end if;
  perform insert_mail(p_tenant, 'invitation', null, p_invitation, 'invitation', '{}', p_sealed);
  return 'written';
end $$;
revoke execute on function write_invitation_mail from public;
grant execute on function write_invitation_mail to admin;
