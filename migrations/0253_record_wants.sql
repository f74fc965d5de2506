-- The id of a want: version 7 (RFC 9562) of its first ask (ms), and a hash of whose it is in place of what is drawn.
create function denial_id(p_pool uuid, p_holder text, p_first_ask bigint) returns uuid
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select (lpad(to_hex(p_first_ask), 12, '0') || '7' || substr(hash, 1, 3) || '8' || substr(hash, 4, 15))::uuid
  from md5(p_pool || p_holder) as hash
$$;
revoke execute on function denial_id from public;

-- Writes down which wants began and which ended (WantChange in core/src/domain/want.rs), each of them once however often
-- it is told, and tells in an event which began. p_since: since when the copy has counted wants without a gap (ms): one
-- that began before and is not over was lost with a copy; 0: there is no copy, and all are. Answers how many began.
create function record_wants(p_tenant uuid, p_pool uuid, p_since bigint, p_told jsonb) returns int
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  pool pools; license licenses; written int; want record;
  -- As of record_usage: what waited for a reaper, and the drift of a clock.
  earliest constant timestamptz := now() - interval '8 days';
  latest constant timestamptz := now() + interval '1 day';
begin
  if jsonb_typeof(p_told) is distinct from 'array' or jsonb_array_length(p_told) > 1000 then
    raise exception 'wants are told as at most 1000 changes' using errcode = '22023';
  end if;
  if p_since is null or p_since not between 0 and 1e15 or exists (select from jsonb_to_recordset(p_told)
      as t (began boolean, holder text, first_ask bigint, machine text, person text, label text, last_ask bigint,
        asks bigint, granted bigint)
    where (began is not null and length(holder) between 1 and 64 and first_ask between 0 and 1e14 and case when began
      then length(machine) <= 64 and length(label) <= 1000 and coalesce(length(person) <= 1000, true)
      else last_ask between first_ask and 1e14 and asks >= 1 and coalesce(granted between 0 and 1e14, true)
      end) is not true) then
    raise exception 'no want is like this: % %', p_since, p_told using errcode = '22023';
  end if;
  perform set_config('app.tenant_id', p_tenant::text, true);
  -- Nothing is decided about a seat, so the pool's lock is not needed.
  select * into pool from pools p where p.tenant_id = p_tenant and p.pool_id = p_pool;
  if not found then return 0; end if;
  select * into license from licenses l where l.tenant_id = p_tenant and l.license_id = pool.license_id;

  with told as (
    select denial_id(p_pool, t.holder, t.first_ask) as denial_id, to_timestamp(t.first_ask / 1000.0) as at, t.*
    from jsonb_to_recordset(p_told)
      as t (began boolean, holder text, first_ask bigint, machine text, person text, label text)
    where t.began),
  fresh as (
    insert into denials (tenant_id, denial_id, license_id, pool_id, pool, number, product, at, hw, label, person,
      last_at, tries)
    select p_tenant, t.denial_id, pool.license_id, p_pool, pool.name, license.number, license.product, t.at, t.machine,
      t.label, t.person, t.at, 1
    from told t where t.at between earliest and latest
    on conflict do nothing returning *),
  events as (
    insert into outbox (tenant_id, kind, payload)
    select p_tenant, 'seat.denied', jsonb_build_object('license', f.number, 'pool_id', p_pool, 'pool', f.pool,
      'denial_id', f.denial_id, 'hw', f.hw, 'at', f.at)
    from fresh f order by f.denial_id)
  select count(*) into written from fresh;

  -- One after the other, each by its key: a join may read the whole table.
  for want in
    select * from jsonb_to_recordset(p_told)
      as t (began boolean, holder text, first_ask bigint, last_ask bigint, asks bigint, granted bigint)
    where not t.began
  loop
    update denials d set last_at = to_timestamp(want.last_ask / 1000.0), tries = want.asks,
      granted_at = to_timestamp(want.granted / 1000.0),
      ended_at = to_timestamp(coalesce(want.granted, want.last_ask) / 1000.0)
    where d.tenant_id = p_tenant and d.denial_id = denial_id(p_pool, want.holder, want.first_ask)
      and d.at = to_timestamp(want.first_ask / 1000.0) and d.ended_at is null;
  end loop;

  if pool.wants_since is distinct from p_since then
    update denials d set ended_at = d.last_at, lost = true
    where d.tenant_id = p_tenant and d.pool_id = p_pool and d.ended_at is null
      and d.at >= now() - interval '100 days' and (p_since = 0 or d.at < to_timestamp(p_since / 1000.0));
  end if;
  -- Who wants a seat is heard of again within a lease, which lasts an hour at most, or is over then: so long the pool is
  -- swept, also if nobody holds a seat of it any more.
  update pools p set wants_since = p_since,
    used_at = case when written > 0 then now() + interval '1 hour' else p.used_at end
  where p.tenant_id = p_tenant and p.pool_id = p_pool and (written > 0 or p.wants_since <> p_since);
  return written;
end $$;
revoke execute on function record_wants from public;
grant execute on function record_wants to reaper;
