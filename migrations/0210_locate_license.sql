-- The organization and the license of a public number. No row: there is no such number.
create function directory.locate_license(p_number text) returns table (tenant_id uuid, license_id uuid)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select n.tenant_id, n.license_id from directory.license_numbers n where n.number = p_number
$$;
revoke execute on function directory.locate_license from public;
grant execute on function directory.locate_license to admin;
