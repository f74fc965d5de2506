-- Who has an external id, of organizations or licenses (p_kind). Whoever is about to give it away asks here too
-- (p_hold): then nobody else gives the same one until this transaction ends.
create function directory.locate_external_id(p_kind text, p_external_id text, p_hold boolean)
returns table (tenant_id uuid, thing_id uuid)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if p_hold then
    perform pg_advisory_xact_lock(hashtextextended(concat_ws(' ', 'external_id', p_kind, p_external_id), 0));
  end if;
  return query
    select o.tenant_id, o.tenant_id from directory.organizations o
    where p_kind = 'organization' and o.external_id = p_external_id
    union all
    select l.tenant_id, l.license_id from directory.licenses l
    where p_kind = 'license' and l.external_id = p_external_id;
end $$;
revoke execute on function directory.locate_external_id from public;
grant execute on function directory.locate_external_id to admin;

-- The next organizations after p_after (null: the first), at most p_limit, by one of: a beginning of the name as it is
-- folded (in the order of names), or one key of the metadata with its value, or neither (the newest first).
create function directory.find_organizations(p_name text, p_key text, p_value text, p_after uuid, p_limit bigint)
returns table (tenant_id uuid)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  last text;
  newest constant uuid := 'ffffffff-ffff-ffff-ffff-ffffffffffff';
begin
  if p_name is not null then
    -- Where the page before ended; an organization that has another name by now, at the beginning.
    select o.name_key into last from directory.organizations o
    where o.tenant_id = p_after and o.name_key >= p_name;
    return query execute 'select o.tenant_id from directory.organizations o
      where o.name_key >= $1 and o.name_key < $2 and (o.name_key, o.tenant_id) > ($3, $4)
      order by o.name_key, o.tenant_id limit $5'
      using p_name, p_name || chr(1114111), coalesce(last, p_name),
        case when last is null then '00000000-0000-0000-0000-000000000000' else p_after end, p_limit;
  elsif p_key is not null then
    return query execute 'select m.thing_id from directory.metadata m
      where m.kind = ''organization'' and m.key = $1 and m.value = $2 and m.thing_id < $3
      order by m.thing_id desc limit $4' using p_key, p_value, coalesce(p_after, newest), p_limit;
  else
    return query execute 'select o.tenant_id from directory.organizations o where o.tenant_id < $1
      order by o.tenant_id desc limit $2' using coalesce(p_after, newest), p_limit;
  end if;
end $$;
revoke execute on function directory.find_organizations from public;
grant execute on function directory.find_organizations to admin;

-- The next licenses after p_after, of the organizations together, whose name begins so as it is folded, in the order of
-- names.
create function directory.find_named_licenses(p_name text, p_after uuid, p_limit bigint)
returns table (tenant_id uuid, license_id uuid)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare last text;
begin
  -- As above: a license that has another name by now begins at the beginning.
  select l.name_key into last from directory.licenses l where l.license_id = p_after and l.name_key >= p_name;
  return query execute 'select l.tenant_id, l.license_id from directory.licenses l
    where l.name_key >= $1 and l.name_key < $2 and (l.name_key, l.license_id) > ($3, $4)
    order by l.name_key, l.license_id limit $5'
    using p_name, p_name || chr(1114111), coalesce(last, p_name),
      case when last is null then '00000000-0000-0000-0000-000000000000' else p_after end, p_limit;
end $$;
revoke execute on function directory.find_named_licenses from public;
grant execute on function directory.find_named_licenses to admin;

-- The next licenses after p_after, of the organizations together, by any of: status, product, plan, one key of the
-- metadata, and ends from a time on and before another. With a time the list is in the order of the ends, the earliest
-- first, otherwise the newest license comes first.
create function directory.find_licenses(p_status text, p_product text, p_plan text, p_key text, p_value text,
  p_ends_from timestamptz, p_ends_before timestamptz, p_after uuid, p_limit bigint)
returns table (tenant_id uuid, license_id uuid)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  asked text := 'select l.tenant_id, l.license_id from directory.licenses l';
  last timestamptz;
begin
  if p_key is not null then
    asked := asked || ' join directory.metadata m on m.kind = ''license'' and m.key = $4 and m.value = $5
      and m.thing_id = l.license_id';
  end if;
  asked := asked || ' where true';
  if p_status is not null then asked := asked || ' and l.status = $1'; end if;
  if p_product is not null then asked := asked || ' and l.product = $2'; end if;
  if p_plan is not null then asked := asked || ' and l.plan = $3'; end if;
  if p_ends_from is not null or p_ends_before is not null then
    select l.expires_at into last from directory.licenses l where l.license_id = p_after;
    asked := asked || ' and l.expires_at >= $6 and l.expires_at < $7 and (l.expires_at, l.license_id) > ($8, $9)
      order by l.expires_at, l.license_id limit $10';
  else
    asked := asked || ' and l.license_id < $9';
    if p_key is not null then asked := asked || ' and m.thing_id < $9 order by m.thing_id desc limit $10';
    else asked := asked || ' order by l.license_id desc limit $10'; end if;
  end if;
  return query execute asked using p_status, p_product, p_plan, p_key, p_value,
    coalesce(p_ends_from, '-infinity'), coalesce(p_ends_before, 'infinity'), coalesce(last, '-infinity'),
    coalesce(p_after, case when p_ends_from is null and p_ends_before is null
      then 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid else '00000000-0000-0000-0000-000000000000'::uuid end),
    p_limit;
end $$;
revoke execute on function directory.find_licenses from public;
grant execute on function directory.find_licenses to admin;
