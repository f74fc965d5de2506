-- Takes mails of one organization that are due, those that are due for longest first: nobody else takes them for
-- p_hold_seconds, after which they are due again unless begin_mail or finish_mail was told of this try. Nothing was sent
-- by then. What another one is taking just now is passed over. Two are ended here and not answered, up to 1,000 at once:
-- one that was begun and never finished, whose sender must have died, becomes unknown, because it may have been handed
-- over; and one that was written more than three days ago is skipped, because what it tells is over.
create function take_mails(p_tenant uuid, p_limit int, p_hold_seconds int)
returns table (mail_id uuid, at timestamptz, tries int, kind text)
language plpgsql security definer set search_path = public, pg_temp
-- The order can be read from one index alone.
set enable_sort = off as $$
declare
  mail record; looked int := 0;
  earliest constant timestamptz := now() - interval '90 days';
  latest constant timestamptz := now() + interval '1 day';
begin
  if (p_tenant is not null and p_limit between 1 and 50 and p_hold_seconds between 10 and 600) is not true then
    raise exception 'nobody takes % mails of % for % s', p_limit, p_tenant, p_hold_seconds using errcode = '22023';
  end if;
  perform set_config('app.tenant_id', p_tenant::text, true);
  for mail in
    select m.mail_id, m.at, m.state from mails m
    where m.tenant_id = p_tenant and m.next_at <= now() and m.at between earliest and latest
    order by m.tenant_id, m.next_at limit 1000
    for update skip locked
  loop
    if mail.state = 'sending' then
      update mails m set state = 'unknown', outcome = 'interrupted', next_at = null, finished_at = now(),
        data = '{}', sealed = null
      where m.tenant_id = p_tenant and m.mail_id = mail.mail_id and m.at = mail.at;
      continue;
    end if;
    if mail.at < now() - interval '3 days' then
      update mails m set state = 'skipped', outcome = 'too_late', next_at = null, finished_at = now(),
        data = '{}', sealed = null
      where m.tenant_id = p_tenant and m.mail_id = mail.mail_id and m.at = mail.at;
      continue;
    end if;
    update mails m set tries = m.tries + 1, next_at = now() + make_interval(secs => p_hold_seconds)
    where m.tenant_id = p_tenant and m.mail_id = mail.mail_id and m.at = mail.at
    returning m.mail_id, m.at, m.tries, m.kind into mail_id, at, tries, kind;
    return next;
    looked := looked + 1;
    exit when looked = p_limit;
  end loop;
end $$;
revoke execute on function take_mails from public;
grant execute on function take_mails to notify;

-- For a server that has no mail server: ends what waits for a day, 1,000 at once, and answers how many. What was begun
-- before and never finished becomes unknown.
create function skip_mails(p_tenant uuid) returns int
language plpgsql security definer set search_path = public, pg_temp
set enable_sort = off as $$
declare mail record; ended int := 0;
begin
  if p_tenant is null then
    raise exception 'mails are of an organization' using errcode = '22023';
  end if;
  perform set_config('app.tenant_id', p_tenant::text, true);
  for mail in
    select m.mail_id, m.at, m.state from mails m
    where m.tenant_id = p_tenant and m.next_at <= now() - interval '1 day'
      and m.at between now() - interval '90 days' and now() + interval '1 day'
    order by m.tenant_id, m.next_at limit 1000
    for update skip locked
  loop
    update mails m set state = case when mail.state = 'sending' then 'unknown' else 'skipped' end,
      outcome = case when mail.state = 'sending' then 'interrupted' else 'no_mail_server' end,
      next_at = null, finished_at = now(), data = '{}', sealed = null
    where m.tenant_id = p_tenant and m.mail_id = mail.mail_id and m.at = mail.at;
    ended := ended + 1;
  end loop;
  return ended;
end $$;
revoke execute on function skip_mails from public;
grant execute on function skip_mails to notify;
