-- Writes down what came of a try, and answers the new state. p_state: 'sent'; 'failed' (for good); 'unknown' (it was
-- handed over, and no answer came); 'waiting' (it surely was not sent: again in p_next_seconds). Null: the mail is not
-- at this try any more, and nothing was written. Of one that take_mails gave up as unknown, whoever had it may still say
-- that it was sent or failed.
create function finish_mail(p_tenant uuid, p_mail uuid, p_at timestamptz, p_tries int, p_state text, p_outcome text,
  p_next_seconds int) returns text
language plpgsql security definer set search_path = public, pg_temp as $$
declare became text;
begin
  if (p_tenant is not null and p_mail is not null and p_at is not null and p_tries >= 1
      and p_state in ('sent', 'failed', 'unknown', 'waiting') and p_outcome ~ '^[a-z_]{1,40}$'
      and case when p_state = 'waiting' then p_next_seconds between 1 and 259200 else p_next_seconds is null end)
    is not true
  then
    raise exception 'no mail ends like this: % % % next in %', p_tries, p_state, p_outcome, p_next_seconds
      using errcode = '22023';
  end if;
  perform set_config('app.tenant_id', p_tenant::text, true);
  update mails m set state = p_state, outcome = p_outcome,
    next_at = now() + make_interval(secs => p_next_seconds),
    begun_at = case when p_state in ('sent', 'unknown') then m.begun_at end,
    finished_at = case when p_state <> 'waiting' then now() end,
    data = case when p_state = 'waiting' then m.data else '{}' end,
    sealed = case when p_state = 'waiting' then m.sealed end
  where m.tenant_id = p_tenant and m.mail_id = p_mail and m.at = p_at and m.tries = p_tries
    -- What was never begun was not sent.
    and (m.state = 'sending' or (m.state = 'waiting' and p_state in ('failed', 'waiting'))
      or (m.state = 'unknown' and m.outcome = 'interrupted' and p_state in ('sent', 'failed')))
  returning m.state into became;
  return became;
end $$;
revoke execute on function finish_mail from public;
grant execute on function finish_mail to notify;
