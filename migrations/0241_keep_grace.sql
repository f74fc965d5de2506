-- Keeps the grace of whoever's session ends, by whatever operation. Its seat still names its holder then: sessions are
-- ended before their seat is freed. Released ones count too: the machine may have kept its token, and nobody who
-- verifies it could know.
create function keep_grace() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
declare terms record; seen timestamptz; ends timestamptz;
begin
  select i.offline_policy as policy, i.grace_hours, i.expires_at, i.grace_after_heartbeats as after, p.lease_ms,
    p.grace_before, case when s.holder = new.holder then s.held_since end as held_since
  into terms
  from public.pools p
  cross join public.licenses i
  left join public.seats s on s.tenant_id = new.tenant_id and s.pool_id = new.pool_id and s.seat_no = new.seat_no
  where p.tenant_id = new.tenant_id and p.pool_id = new.pool_id and i.tenant_id = new.tenant_id
    and i.license_id = new.license_id;
  if terms.policy is distinct from 'grace' then return new; end if;
  -- When nobody knows when it was heard of last, it may have been now.
  seen := case when new.last_seen_at > old.last_seen_at then new.last_seen_at
    else greatest(new.ended_at, new.last_seen_at) end;
  -- Redis decided by its own times, a little before ours.
  if seen - coalesce(terms.held_since, new.started_at) + make_interval(secs => terms.lease_ms / 72000.0)
    < public.lived_through(terms.lease_ms, terms.after) then return new; end if;
  -- As many as the license allows had some already: its tokens carried none.
  if terms.grace_before > 0 and public.unix_ms(coalesce(terms.held_since, new.started_at)) > terms.grace_before then
    return new;
  end if;
  -- No certificate allows more than a week (core/src/signer/delegated.rs).
  ends := least(seen + make_interval(hours => least(terms.grace_hours, 168)), terms.expires_at);
  if ends > new.ended_at then
    insert into public.graces as g (tenant_id, pool_id, holder, until)
    values (new.tenant_id, new.pool_id, new.holder, ends)
    on conflict (tenant_id, pool_id, holder) do update set until = greatest(g.until, excluded.until);
  end if;
  return new;
end $$;
revoke execute on function keep_grace from public;

create trigger keep_grace before update of ended_at on sessions_open for each row
  when (old.ended_at is null and new.ended_at is not null) execute function keep_grace();
