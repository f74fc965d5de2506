-- Writes the seal of an entry that has none, once.
create function history.staff_seal(p_seq bigint, p_seal text) returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
  update catalog.staff_log l set seal = p_seal where l.seq = p_seq and l.seal is null
$$;
revoke execute on function history.staff_seal from public;
grant execute on function history.staff_seal to admin;
