UPDATE journal SET document = json_object(
    'link_id', json_extract(document, '$.link_id'),
    'at', json_extract(document, '$.at'),
    'what', 'update',
    'decisions', json_array(json_object(
        'field', json_extract(document, '$.field'),
        'group', '',
        'row', json_extract(document, '$.row'),
        'versions', json_object(
            'base', json('{"absent":true}'),
            'left', CASE json_extract(document, '$.side')
                WHEN 'left' THEN json(json_quote(json_extract(document, '$.lost')))
                ELSE json('{"absent":true}') END,
            'right', CASE json_extract(document, '$.side')
                WHEN 'right' THEN json(json_quote(json_extract(document, '$.lost')))
                ELSE json('{"absent":true}') END
        ),
        'policy', json_extract(document, '$.policy'),
        'writes', json_array(json_extract(document, '$.side')),
        'result', json(json_quote(json_extract(document, '$.kept')))
    ))
) WHERE json_extract(document, '$.what') IS NULL;
