-- The organizations of these ids, in their order. A list of the vendor's staff has one page of them.
create function read_organizations(p_organizations uuid[]) returns setof organizations
language plpgsql security definer set search_path = public, pg_temp as $$
declare organization uuid; outer_tenant text := coalesce(current_setting('app.tenant_id', true), '');
begin
  if cardinality(p_organizations) > 101 then
    raise exception 'a page has at most 100 rows' using errcode = '22023';
  end if;
  foreach organization in array p_organizations loop
    perform set_config('app.tenant_id', organization::text, true);
    return query select o.* from organizations o where o.tenant_id = organization;
  end loop;
  perform set_config('app.tenant_id', outer_tenant, true);
end $$;
revoke execute on function read_organizations from public;
grant execute on function read_organizations to admin;

-- The licenses of these ids, each of the organization at the same place, in their order: with the organization's name
-- and the seats of the default pool.
create function read_licenses(p_organizations uuid[], p_licenses uuid[])
returns table (organization text, license licenses, seats int)
language plpgsql security definer set search_path = public, pg_temp as $$
declare outer_tenant text := coalesce(current_setting('app.tenant_id', true), '');
begin
  if cardinality(p_licenses) > 101 or cardinality(p_licenses) <> cardinality(p_organizations) then
    raise exception 'a page has at most 100 rows' using errcode = '22023';
  end if;
  for place in 1 .. cardinality(p_licenses) loop
    perform set_config('app.tenant_id', p_organizations[place]::text, true);
    return query
      select o.name, l, coalesce((select p.seats_total from pools p
        where p.tenant_id = l.tenant_id and p.license_id = l.license_id and p.name = 'default'), 0)
      from licenses l join organizations o on o.tenant_id = l.tenant_id
      where l.tenant_id = p_organizations[place] and l.license_id = p_licenses[place];
  end loop;
  perform set_config('app.tenant_id', outer_tenant, true);
end $$;
revoke execute on function read_licenses from public;
grant execute on function read_licenses to admin;
