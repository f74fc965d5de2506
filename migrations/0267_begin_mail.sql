-- Begins to send a mail that was taken: once this is committed, nobody sends it again unless finish_mail says that it
-- surely was not handed over. Answers to whom it goes and what it says, as it is now: who left or was erased meanwhile
-- gets nothing. `skipped`: it is over instead, because of
--   no_recipient  the person does not belong to the organization any more, or the invitation is over
--   refused       the person does not want mail of this kind
--   too_many      the recipient was sent 20 within 24 hours; nobody reads more, and somebody who has things happen often
--                 must not fill another one's mailbox
-- No row: the mail is not at this try any more, because it was held for too long and taken again.
create function begin_mail(p_tenant uuid, p_mail uuid, p_at timestamptz, p_tries int, p_hold_seconds int)
returns table (skipped text, kind text, user_id uuid, invitation_id uuid, email text, name text, organization text,
  data jsonb, sealed text)
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  mail mails; recipient text; sent bigint; most constant int := 20;
begin
  if (p_tenant is not null and p_mail is not null and p_at is not null and p_tries >= 1
      and p_hold_seconds between 10 and 600) is not true then
    raise exception 'no mail begins like this: % %', p_tries, p_hold_seconds using errcode = '22023';
  end if;
  perform set_config('app.tenant_id', p_tenant::text, true);
  select * into mail from mails m
  where m.tenant_id = p_tenant and m.mail_id = p_mail and m.at = p_at and m.tries = p_tries and m.state = 'waiting'
  for update;
  if not found then return; end if;
  data := mail.data;
  if mail.user_id is not null then
    select u.email, u.name into email, name from users u
    where u.tenant_id = p_tenant and u.user_id = mail.user_id and u.removed_at is null;
    recipient := mail.user_id::text;
  else
    select i.email, i.address, jsonb_build_object('role', i.role, 'invited_by', i.invited_by,
        'until', to_char(i.expires_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'))
    into email, recipient, data from invitations i
    where i.tenant_id = p_tenant and i.invitation_id = mail.invitation_id
      and i.accepted_at is null and i.revoked_at is null and i.expires_at > now();
  end if;
  if email is null then
    skipped := 'no_recipient';
  elsif exists (select from mail_refusals r where r.tenant_id = p_tenant and r.user_id = mail.user_id
    and r.kind = mail.kind and r.refused)
  then
    skipped := 'refused';
  else
    -- One mail to a recipient after the other, or several at once would each see one too few.
    perform pg_advisory_xact_lock(hashtextextended('mails to ' || p_tenant || ' ' || recipient, 0));
    -- Nothing is begun three days after it was written, nor for longer than a day.
    if mail.user_id is not null then
      select count(*) into sent from mails m
      where m.tenant_id = p_tenant and m.user_id = mail.user_id and m.begun_at > now() - interval '24 hours'
        and m.at between now() - interval '5 days' and now() + interval '1 day';
    else
      -- An address may be invited again and again; write_invitation_mail keeps these few.
      select count(*) into sent from mails m join invitations i
        on i.tenant_id = m.tenant_id and i.invitation_id = m.invitation_id
      where m.tenant_id = p_tenant and m.user_id is null and m.begun_at > now() - interval '24 hours'
        and m.at between now() - interval '5 days' and now() + interval '1 day' and i.address = recipient;
    end if;
    if sent >= most then skipped := 'too_many'; end if;
  end if;
  if skipped is not null then
    update mails m set state = 'skipped', outcome = begin_mail.skipped, next_at = null, finished_at = now(),
      data = '{}', sealed = null
    where m.tenant_id = p_tenant and m.mail_id = p_mail and m.at = p_at;
    email := null; name := null; data := null;
    return next;
    return;
  end if;
  update mails m set state = 'sending', begun_at = now(), next_at = now() + make_interval(secs => p_hold_seconds)
  where m.tenant_id = p_tenant and m.mail_id = p_mail and m.at = p_at;
  kind := mail.kind;
  user_id := mail.user_id;
  invitation_id := mail.invitation_id;
  sealed := mail.sealed;
  select o.name into organization from organizations o where o.tenant_id = p_tenant;
  return next;
end $$;
revoke execute on function begin_mail from public;
grant execute on function begin_mail to notify;
