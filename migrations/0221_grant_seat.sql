-- Writes down what ACQUIRE decided, unless it comes too late. Answers OK, FENCED, ENDED, EPOCH_STALE or REFUSED.
-- Separate statements, so that each sees a fresh snapshot after its lock wait. Locks: pool (shared), then seats in
-- seat_no order. A unique violation means that the holder got another seat or the attempt another session meanwhile:
-- the caller takes it for FENCED.
create function grant_seat(
  p_tenant uuid, p_pool uuid, p_seat int, p_session uuid, p_holder text, p_attempt uuid, p_epoch bigint, p_seq bigint,
  p_live uuid[],                    -- the seat's sessions that Redis still counts
  p_displaced_seen timestamptz,     -- when the holder that lost the seat was last heard of, if known
  p_hw text, p_label text, p_client jsonb,
  p_person text, p_project text,    -- what p_client says of both, as users.address and projects.key are; null: nothing
  p_key_hmacs text[]                -- the license key it came with, under every accepted pepper
) returns text language plpgsql security definer set search_path = public, pg_temp as $$
declare
  pool pools; seat seats; other seats; others_seat int; locked int[]; locked_seat int; since timestamptz; earlier uuid;
begin
  -- What no service says unless somebody took it over (docs/DATA-MODEL.md, "When a role is taken over"). The id of a
  -- session says when it began, and lists are in its order.
  if substr(p_session::text, 15, 1) <> '7' or abs(extract(epoch from began_at(p_session) - now())) > 31 * 86400 then
    raise exception 'the id of a session that begins is a UUID of version 7 of these days, not %', p_session
      using errcode = '22023';
  end if;
  -- And what a client says is an object: who is named in anything else could never be erased (history.blank_sessions).
  if length(p_holder) > 64 or length(p_hw) > 64 or length(p_label) > 1000 or length(p_person) > 1000
    or octet_length(p_client::text) > 65536 or jsonb_typeof(p_client) <> 'object'
  then
    raise exception 'a session says more of its client than a service reads' using errcode = '22023';
  end if;
  p_displaced_seen := seen_at(p_displaced_seen);
  perform set_config('app.tenant_id', p_tenant::text, true);
  perform pg_advisory_xact_lock_shared(pool_lock(p_pool));
  select * into pool from pools p where p.tenant_id = p_tenant and p.pool_id = p_pool;
  if not found then return 'EPOCH_STALE'; end if;
  if pool.status <> 'active' then return 'REFUSED'; end if;
  if pool.epoch <> p_epoch then return 'EPOCH_STALE'; end if;

  -- Asked for as the first row at or behind a key, in the order of that key: only one index has that order.
  select h.seat_no into others_seat from (
    select s.* from seats s
    where s.tenant_id = p_tenant and s.holder is not null and (s.pool_id, s.holder) >= (p_pool, p_holder)
    order by s.pool_id, s.holder limit 1) h
  where h.pool_id = p_pool and h.holder = p_holder and h.seat_no <> p_seat;
  locked := array[p_seat];
  if others_seat < p_seat then
    locked := others_seat || locked;
  elsif others_seat is not null then
    locked := locked || others_seat;
  end if;
  foreach locked_seat in array locked loop
    perform from seats s where s.tenant_id = p_tenant and s.pool_id = p_pool and s.seat_no = locked_seat for update;
  end loop;
  select * into seat from seats s where s.tenant_id = p_tenant and s.pool_id = p_pool and s.seat_no = p_seat;
  if not found or seat.retired then return 'EPOCH_STALE'; end if;

  -- A retry, or a commit whose answer was lost.
  perform from sessions s where s.tenant_id = p_tenant and s.session_id = p_session and s.ended_at is null;
  if found then return case when seat.holder = p_holder then 'OK' else 'FENCED' end; end if;
  -- An ended id is never opened again.
  since := could_have_ended(p_session);
  perform from sessions s where s.tenant_id = p_tenant and s.session_id = p_session and s.ended_at >= since;
  if found then return 'ENDED'; end if;
  if (seat.fence_epoch, seat.fence_seq) >= (p_epoch, p_seq) then return 'FENCED'; end if;
  -- Another seat of this holder (the index allows one) under a newer ticket must not be freed by this one; one that
  -- appeared since the lock is newer too.
  select h.* into other from (
    select s.* from seats s
    where s.tenant_id = p_tenant and s.holder is not null and (s.pool_id, s.holder) >= (p_pool, p_holder)
    order by s.pool_id, s.holder limit 1) h
  where h.pool_id = p_pool and h.holder = p_holder and h.seat_no <> p_seat;
  if found and ((other.fence_epoch, other.fence_seq) >= (p_epoch, p_seq) or other.seat_no <> all (locked)) then
    return 'FENCED';
  end if;
  if seat.kind = 'borrow' and seat.holder is distinct from p_holder and seat.lease_until > now() then
    return 'EPOCH_STALE';
  end if;

  if seat.holder is distinct from p_holder then
    update sessions s set ended_at = now(), end_reason = 'expired',
      last_seen_at = greatest(s.last_seen_at, p_displaced_seen)
    where s.tenant_id = p_tenant and s.pool_id = p_pool and s.seat_no = p_seat and s.ended_at is null;
  else
    update sessions s set ended_at = now(), end_reason = 'expired'
    where s.tenant_id = p_tenant and s.pool_id = p_pool and s.seat_no = p_seat and s.ended_at is null
      and s.session_id <> all (p_live);
  end if;
  if other.seat_no is not null then
    update sessions s set ended_at = now(), end_reason = 'expired'
    where s.tenant_id = p_tenant and s.pool_id = p_pool and s.seat_no = other.seat_no and s.ended_at is null;
    update seats s set holder = null, held_since = null
    where s.tenant_id = p_tenant and s.pool_id = p_pool and s.seat_no = other.seat_no;
    insert into outbox (tenant_id, kind, payload) values (p_tenant, 'seat.freed', jsonb_build_object(
      'license_id', pool.license_id, 'pool_id', p_pool, 'seat', other.seat_no, 'from', p_holder, 'reason', 'moved'));
  end if;
  -- A statement of its own, with an index of its own: an "or" may read every open session of the pool. And looked for
  -- in the order of that index, which no other has.
  select s.session_id into earlier from sessions s
  where s.tenant_id = p_tenant and s.attempt = p_attempt and s.holder = p_holder
    and s.pool_id is not distinct from p_pool and s.ended_at is null
  order by s.pool_id limit 1;
  if found then
    update sessions s set ended_at = now(), end_reason = 'expired'
    where s.tenant_id = p_tenant and s.session_id = earlier and s.ended_at is null;
  end if;

  update seats s
  set holder = p_holder, held_since = case when seat.holder = p_holder then s.held_since else now() end,
      fence_epoch = p_epoch, fence_seq = p_seq, hold_until = null, hold_epoch = null, kind = 'float', lease_until = null
  where s.tenant_id = p_tenant and s.pool_id = p_pool and s.seat_no = p_seat;
  insert into sessions (tenant_id, session_id, license_id, pool_id, pool, number, product, seat_no,
    holder, attempt, hw, label, client, person, project_id, key_id)
  select p_tenant, p_session, pool.license_id, p_pool, pool.name, l.number, l.product, p_seat,
    p_holder, p_attempt, p_hw, p_label, p_client, p_person,
    (select r.project_id from projects r
     where r.tenant_id = p_tenant and r.key = p_project and r.archived_at is null
       and (r.license_ids = '{}' or pool.license_id = any (r.license_ids))),
    (select k.key_id from license_keys k
     where k.tenant_id = p_tenant and k.license_id = pool.license_id and k.key_hmac = any (p_key_hmacs))
  from licenses l where l.tenant_id = p_tenant and l.license_id = pool.license_id;
  if seat.holder is distinct from p_holder then
    insert into outbox (tenant_id, kind, payload) values (p_tenant, 'seat.granted', jsonb_build_object(
      'license_id', pool.license_id, 'pool_id', p_pool, 'seat', p_seat, 'session_id', p_session,
      'from', seat.holder, 'to', p_holder, 'hw', p_hw, 'label', p_label));
  end if;
  return 'OK';
end $$;
revoke execute on function grant_seat from public;
grant execute on function grant_seat to service;
