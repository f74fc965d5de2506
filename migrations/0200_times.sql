-- A time as Unix milliseconds; 0 for none.
create function unix_ms(at timestamptz) returns bigint language sql immutable parallel safe as $$
  select coalesce((extract(epoch from at) * 1000)::bigint, 0)
$$;
revoke execute on function unix_ms from public;

-- When a session of this id began (RFC 9562, version 7), by the clock of the service that drew it.
create function began_at(p_session uuid) returns timestamptz language sql immutable parallel safe as $$
  select to_timestamp(('x' || translate(left(p_session::text, 13), '-', ''))::bit(48)::bigint / 1000.0)
$$;
revoke execute on function began_at from public;
grant execute on function began_at to admin;

-- From when on a session of this id can have ended: not before it began, which its id says, with a month for clocks
-- that differ. So one look at what is over reads the months since then and not all there are.
create function could_have_ended(p_session uuid) returns timestamptz language sql stable parallel safe as $$
  select least(public.began_at(p_session), now()) - interval '31 days'
$$;
revoke execute on function could_have_ended from public;
grant execute on function could_have_ended to admin;

-- When somebody was last heard of, as a service says: its clock may be wrong, but not by more than a day.
create function seen_at(p_at timestamptz) returns timestamptz language sql stable parallel safe as $$
  select case when p_at > now() + interval '1 day' then now() else p_at end
$$;
revoke execute on function seen_at from public;
