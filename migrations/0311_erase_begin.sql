-- Before anything is blanked: the tenant is set, the erasure stands in its audit log, and history.step() moves no rows
-- meanwhile (55P03 while it does: to be asked again). A row that moves between two calls keeps its id, and each call
-- looks for ids in every place.
create function history.begin_erasing(p_tenant uuid, p_erasure uuid) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('app.tenant_id', p_tenant::text, true);
  -- By key whatever the statistics say: the order leaves no other index.
  if (select a.action in ('person.erased', 'machine.erased') and a.at > now() - interval '1 day' from public.audit_log a
      where a.tenant_id = p_tenant and a.id >= p_erasure and a.id <= p_erasure order by a.id limit 1) is not true then
    raise exception 'nobody wrote down this erasure today';
  end if;
  if not pg_try_advisory_xact_lock_shared(history.moving()) then
    raise exception 'rows of the history are being moved' using errcode = '55P03';
  end if;
end $$;
revoke execute on function history.begin_erasing from public;
