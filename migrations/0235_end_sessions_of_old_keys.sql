-- The keys of a license that are good now. The sessions of all others are those that began with an old key.
create function good_keys(p_tenant uuid, p_license uuid) returns uuid[] language sql stable security definer
set search_path = public, pg_temp as $$
  select coalesce(array_agg(k.key_id), '{}') from license_keys k
  where k.tenant_id = p_tenant and k.license_id = p_license and (k.valid_until is null or k.valid_until > now())
$$;
revoke execute on function good_keys from public;
grant execute on function good_keys to admin;

-- Ends the open sessions of a license that did not begin with a key that is good now, on at most p_seats seats. A seat
-- that carries no other session is kicked as kick_seat does it, and waits for a lease; on a seat that others share,
-- only these sessions end, and its holder stays. A row for each pool that changed, as suspend_license answers; `ended`
-- lists the sessions, for the audit log. No row: there are none left.
create function end_sessions_of_old_keys(p_tenant uuid, p_license uuid, p_seats int, p_by text)
returns table (pool_id uuid, name text, number text, epoch_before bigint, ended jsonb) language plpgsql security definer
set search_path = public, pg_temp as $$
declare pool record; seat int; good uuid[]; on_seat jsonb; shared boolean; left_over int := p_seats;
begin
  perform set_config('app.tenant_id', p_tenant::text, true);
  perform lock_pools(p_tenant, p_license);
  good := good_keys(p_tenant, p_license);
  for pool in
    select p.pool_id, p.name, l.number from pools p
    join licenses l on l.tenant_id = p.tenant_id and l.license_id = p.license_id
    where p.tenant_id = p_tenant and p.license_id = p_license order by p.pool_id
  loop
    ended := '[]';
    for seat in
      select distinct s.seat_no from sessions s
      where s.tenant_id = p_tenant and s.pool_id = pool.pool_id and s.ended_at is null
        and (s.key_id is null or s.key_id <> all (good))
      order by s.seat_no limit left_over
    loop
      select jsonb_agg(jsonb_build_object('id', s.session_id, 'seat', s.seat_no, 'machine', s.hw,
        'label', s.label, 'user', s.person, 'key', s.key_id))
      into on_seat from sessions s
      where s.tenant_id = p_tenant and s.pool_id = pool.pool_id and s.seat_no = seat and s.ended_at is null
        and (s.key_id is null or s.key_id <> all (good));
      select exists (select from sessions s
        where s.tenant_id = p_tenant and s.pool_id = pool.pool_id and s.seat_no = seat
          and s.ended_at is null and s.key_id = any (good)) into shared;
      if shared then
        perform from seats s where s.tenant_id = p_tenant and s.pool_id = pool.pool_id and s.seat_no = seat for update;
        update sessions s set ended_at = now(), end_reason = 'kicked'
        where s.tenant_id = p_tenant and s.pool_id = pool.pool_id and s.seat_no = seat and s.ended_at is null
          and (s.key_id is null or s.key_id <> all (good));
        update pools p set epoch = p.epoch + 1, changed_at = now()
        where p.tenant_id = p_tenant and p.pool_id = pool.pool_id;
      else
        perform kick_seat(p_tenant, pool.pool_id, seat, false, p_by);
      end if;
      ended := ended || on_seat;
      left_over := left_over - 1;
    end loop;
    continue when ended = '[]';
    pool_id := pool.pool_id;
    name := pool.name;
    number := pool.number;
    select p.epoch - 1 into epoch_before from pools p where p.tenant_id = p_tenant and p.pool_id = pool.pool_id;
    return next;
    exit when left_over <= 0;
  end loop;
end $$;
revoke execute on function end_sessions_of_old_keys from public;
grant execute on function end_sessions_of_old_keys to admin;
